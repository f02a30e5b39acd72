"""Fits of polynomials."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt

from hiexp.errors import InputError
from hiexp.fitting.model import Settings, takes_settings
from hiexp.fitting.result import FitResult
from hiexp.kinds import Count, Positive
from hiexp.spectra import Spectra


@takes_settings
def fit_polynomial(
    spectra: Spectra,
    degree: Count = 15,
    half_window: Positive = 530.0,
    centre: Literal["line", "peak"] = "line",
    margin: Annotated[float, Ge(0), Lt(0.5)] = 0.1,
    **settings: Any,
) -> FitResult:
    """Fit a polynomial to the window around each line.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    degree : int
        Degree of the polynomial.
    half_window : float
        Reach of the window to each side of its centre, km/s.
    centre : str
        Centre of the window: "line", the line found, or "peak", the highest point of a first polynomial over the
        whole spectrum, as in the study; narrow lines do not show in it.
    margin : float
        Fraction of the spectrum at each end in which no such peak is looked for.
    **settings
        See `Settings`.

    Returns
    -------
    FitResult
        With the coefficients ``p0``, ``p1``... (mJy) of Legendre polynomials whose argument runs from -1 at ``low``
        to 1 at ``high`` (km/s).

    Raises
    ------
    InputError
        If a setting is out of its range.
    """
    if degree < 1:
        raise InputError(f"fit.degree={degree}: must be at least 1")
    if not 0 <= margin < 0.5:
        raise InputError(f"fit.margin={margin}: give a fraction from 0 to below 0.5")
    if half_window <= 0:
        raise InputError(f"fit.half_window={half_window}: give km/s above 0")
    if centre not in ("line", "peak"):
        raise InputError(f"fit.centre={centre}: use line or peak")
    from hiexp.fitting.engine import fit_lines  # torch takes seconds to import, and settings are checked without it
    from hiexp.fitting.passes import around_line, whole
    from hiexp.fitting.polynomial_model import around_peak, polynomial_model

    rules = [around_line(half_window)] if centre == "line" else [whole, around_peak(half_window, margin)]
    return fit_lines(spectra, polynomial_model(degree), rules, Settings(**settings), "fitting polynomials")
