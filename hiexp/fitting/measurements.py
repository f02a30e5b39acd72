"""The list of measurements: what every fit tells of a line and of itself, by name.

A width at another level is a row here. Another measurement of a line is a row, and a formula of this name in each
backend (`measure` in ``torch_backend/measure.py`` and ``numba_backend/measure.py``) and in ``direct.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One column of the table of fits.

    Attributes
    ----------
    unit : str
        As astropy writes it; empty for pure numbers.
    meaning : str
        What is measured.
    label : str
        What stands on pictures; empty for what is not drawn.
    level : float or None
        Fraction of the peak between whose crossings, seen from outside, a width is taken; None for what is no width.
    of_line : bool
        Whether it is measured on the fitted curve, with an error; False for what describes spectrum and fit.
    """

    unit: str
    meaning: str
    label: str = ""
    level: float | None = None
    of_line: bool = True

    def __post_init__(self) -> None:
        if self.level is not None and not 0 < self.level < 1:
            raise ValueError(f"level={self.level}: a width is taken at a fraction of the peak, between 0 and 1")


MEASUREMENTS = {
    "position": Measurement(
        "km / s", "flux-weighted mean velocity, as BusyFit's (Westmeier et al. 2014, MNRAS 438, 1176)", "position"
    ),
    "w50": Measurement("km / s", "width at 50 % of the peak", "W50", 0.5),
    "w20": Measurement("km / s", "width at 20 % of the peak", "W20", 0.2),
    "flux_peak": Measurement("mJy", "peak flux density", "peak flux density"),
    "flux_int": Measurement("Jy km / s", "integrated flux", "integrated flux"),
    "snr": Measurement(
        "", "integrated signal-to-noise ratio (after Saintonge 2007, AJ 133, 2087)", "S/N", of_line=False
    ),
    "A_flux": Measurement(
        "", "flux asymmetry, the larger half over the smaller (Haynes et al. 1998, AJ 115, 62)", "A_flux"
    ),
    "chi2": Measurement("", "sum of squared residuals over the noise", of_line=False),
    "chi2_dof": Measurement("", "chi2 over its degrees of freedom", "reduced chi2", of_line=False),
    "mse": Measurement("mJy2", "mean squared residual", of_line=False),
    "r2": Measurement("", "coefficient of determination", "R2", of_line=False),
}
"""Columns that every fit has."""

OUTER = "w20"  # the width between whose edges the line lies: its halves are compared, and a window must hold them


def line_measurements() -> tuple[str, ...]:
    """Return the names of what is measured on a fitted curve, in the order of the table."""
    return tuple(name for name, measurement in MEASUREMENTS.items() if measurement.of_line)


def width_levels() -> dict[str, float]:
    """Return the level of each width by its name."""
    return {name: row.level for name, row in MEASUREMENTS.items() if row.level is not None}
