"""The list of measurements: what every fit tells of a line and of itself, by name.

A width at another level is a row here. Another measurement of a line is a row with `once`, and a formula of this name
in ``horns.py``; one that the passes need is a row, and a formula in each backend (`measure` in
``torch_backend/measure.py`` and ``numba_backend/measure.py``). Data without a model are measured in ``direct.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hiexp.errors import InputError


@dataclass(frozen=True)
class Measurement:
    """One column of the table of fits.

    Attributes
    ----------
    unit : str
        As astropy writes it; empty for pure numbers.
    meaning : str
        What is measured.
    drawn : bool
        Whether the picture of all fits has its histogram; its label stands in `hiexp.plots.labels`.
    level : float or None
        Fraction of the peak between whose crossings, seen from outside, a width is taken; None for what is no width.
    of_line : bool
        Whether it is measured on the fitted curve, with an error; False for what describes spectrum and fit.
    once : bool
        Whether it is measured once, on the curves of the last pass that are good, and not in every pass.
    """

    unit: str
    meaning: str
    drawn: bool = False
    level: float | None = None
    of_line: bool = True
    once: bool = False

    def __post_init__(self) -> None:
        if self.level is not None and not 0 < self.level < 1:
            raise ValueError(f"level={self.level}: a width is taken at a fraction of the peak, between 0 and 1")


MEASUREMENTS = {
    "position": Measurement(
        "km / s", "flux-weighted mean velocity, as BusyFit's (Westmeier et al. 2014, MNRAS 438, 1176)", drawn=True
    ),
    "w50": Measurement("km / s", "width at 50 % of the peak", drawn=True, level=0.5),
    "w20": Measurement("km / s", "width at 20 % of the peak", drawn=True, level=0.2),
    "flux_peak": Measurement("mJy", "peak flux density", drawn=True),
    "flux_int": Measurement("Jy km / s", "integrated flux", drawn=True),
    "snr": Measurement(
        "", "integrated signal-to-noise ratio (after Saintonge 2007, AJ 133, 2087)", drawn=True, of_line=False
    ),
    "A_flux": Measurement(
        "", "flux asymmetry, the larger half over the smaller (Haynes et al. 1998, AJ 115, 62)", drawn=True
    ),
    "chi2": Measurement("", "sum of squared residuals over the noise", of_line=False),
    "chi2_dof": Measurement("", "chi2 over its degrees of freedom", drawn=True, of_line=False),
    "mse": Measurement("mJy2", "mean squared residual", of_line=False),
    "r2": Measurement("", "coefficient of determination", drawn=True, of_line=False),
    "w80": Measurement("km / s", "width at 80 % of the peak", level=0.8, once=True),
    "w50_horns": Measurement(
        "km / s",
        "width from half of the left horn's peak to half of the right horn's, seen from outside (Springob et al. "
        "2005, ApJS 160, 149); w50 where there is one peak",
        once=True,
    ),
    "v_horns": Measurement("km / s", "velocity midway between the edges of w50_horns, ALFALFA's systemic", once=True),
    "wm50": Measurement(
        "km / s",
        "width at half of the mean flux density over the range that holds the middle 90 % of the flux (Courtois et "
        "al. 2009, AJ 138, 1938)",
        once=True,
    ),
    "horns": Measurement("", "peaks of the curve, 1 or 2; how sure the second is says trough_snr", of_line=False),
    "trough_snr": Measurement(
        "",
        "depth of the trough below the fainter horn over its error: below 3 the two horns may be one peak; NaN where "
        "there is one",
        of_line=False,
    ),
    "v_confusion": Measurement(
        "km / s", "velocity of a second source in the spectrum (flag confusion)", of_line=False
    ),
    "rms": Measurement("mJy", "noise of one channel", of_line=False),
    "channel_width": Measurement("km / s", "mean distance of next channels", of_line=False),
    "noise_correlation": Measurement(
        "", "correlation of the noise of next channels, beside the line; 0 where few are there", of_line=False
    ),
}
"""Columns that every fit has."""

_YU = "(Yu, Ho & Wang 2020, ApJ 898, 102)"
_REYNOLDS = "(Reynolds et al. 2020, MNRAS 493, 5089)"
_DEG = "(Deg et al. 2020, MNRAS 495, 1984)"
_CORRECTED = "for redshift and resolution by measurements.recipe"

DATA_MEASUREMENTS = {
    "w50_corr": Measurement("km / s", f"w50 corrected {_CORRECTED}"),
    "w50_horns_corr": Measurement("km / s", f"w50_horns corrected {_CORRECTED}"),
    "wm50_corr": Measurement("km / s", f"wm50 corrected {_CORRECTED}"),
    "logMHI": Measurement("", "log10 of the HI mass in solar masses, 2.356e5 D^2 flux_int, D the distance in Mpc"),
    "cog_v": Measurement("km / s", f"flux-weighted mean velocity of the data, centre of the curve of growth {_YU}"),
    "cog_flux": Measurement("Jy km / s", f"flux where the curve of growth is flat {_YU}"),
    "cog_v25": Measurement("km / s", f"width that holds 25 % of the flux {_YU}"),
    "cog_v75": Measurement("km / s", f"width that holds 75 % of the flux {_YU}"),
    "cog_v85": Measurement("km / s", f"width that holds 85 % of the flux {_YU}"),
    "cog_v95": Measurement("km / s", f"width that holds 95 % of the flux {_YU}"),
    "cog_A_F": Measurement("", f"ratio of the fluxes on both sides of cog_v {_YU}"),
    "cog_A_C": Measurement("", f"ratio of the slopes of the curves of growth of both sides {_YU}"),
    "cog_C_V": Measurement("", f"concentration, cog_v85 / cog_v25 {_YU}"),
    "cog_K": Measurement("", f"shape: positive for one peak, negative for two horns {_YU}"),
    "cog_snr": Measurement("", "cog_flux over the noise of the channels within cog_v95", of_line=False),
    "A_fr": Measurement(
        "", "flux asymmetry of the data between the edges at 20 % of the peak (Watts et al. 2020, MNRAS 492, 3672)"
    ),
    "A_sys": Measurement("", f"flux asymmetry of the data about the systemic velocity v_horns {_REYNOLDS}"),
    "A_spec": Measurement(
        "", f"channel-by-channel asymmetry of the data about v_horns, 0 to 1, raised by noise {_DEG}"
    ),
    "dv_sys": Measurement("km / s", f"flux-weighted mean velocity of the data less v_horns {_REYNOLDS}"),
    "v_equal": Measurement("km / s", f"velocity of equality, with half of the flux on either side {_DEG}"),
    "A_equal": Measurement("", f"distance of v_equal from v_horns over half of the width at 20 % {_DEG}"),
}
"""Columns that `measure_data` adds, those of the line with a column of errors."""

PASS_FORMULAS = ("position", "flux_peak", "flux_int", "A_flux")
"""What the backends measure besides widths."""
ONCE_FORMULAS = ("w50_horns", "v_horns", "wm50")
"""What `hiexp.fitting.horns` measures besides widths."""
TEXTS = ("id", "status", "flags")
"""Columns of the table of fits that are no numbers."""

OUTER = "w20"  # the width between whose edges the line lies: its halves are compared, and a window must hold them


def line_measurements(once: bool = False) -> tuple[str, ...]:
    """Return the names of what is measured on a fitted curve in every pass, or once, in the order of the table."""
    return tuple(name for name, row in MEASUREMENTS.items() if row.of_line and row.once == once)


def width_levels(once: bool = False) -> dict[str, float]:
    """Return the level of each width that is measured in every pass, or once, by its name."""
    return {name: row.level for name, row in MEASUREMENTS.items() if row.level is not None and row.once == once}


def check_columns(parameters: Mapping[str, str]) -> None:
    """Refuse measurements that nothing computes, and parameters of a model that share a column with another.

    Raises
    ------
    InputError
        Naming the first.
    """
    known = {*PASS_FORMULAS, *width_levels(), *width_levels(once=True), *ONCE_FORMULAS}
    without = [name for name, row in MEASUREMENTS.items() if row.of_line and name not in known]
    if without:
        raise InputError(
            f"measurement {without[0]}: no formula measures it; give its row a level, or of_line=False and no error, "
            "or write the formula (hiexp/fitting/measurements.py says where)"
        )
    taken = [*TEXTS, *MEASUREMENTS, *DATA_MEASUREMENTS, *parameters]
    columns = [*taken, *_errors((*line_measurements(), *line_measurements(once=True), *parameters))]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice:
        raise InputError(
            f"fit: parameter {twice} has the name of another column of the table of fits; choose another"
        )


def _errors(names: Iterable[str]) -> list[str]:
    return [f"{name}_{kind}" for name in names for kind in ("err", "err_mc")]
