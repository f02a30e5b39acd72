"""Fits of the Busy Function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hiexp.errors import InputError
from hiexp.fitting.model import Settings, takes_settings
from hiexp.fitting.result import FitResult
from hiexp.kinds import Positive
from hiexp.spectra import Spectra


@takes_settings
def fit_busy(spectra: Spectra, margins: Sequence[Positive] = (10.6, 26.5), **settings: Any) -> FitResult:
    """Fit the Busy Function, first to the whole of each spectrum and then again to windows around its line.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    margins : sequence of float
        One a further pass: its window reaches W50 and this much, km/s, to each side of the position, both as the pass
        before has them. The default are the two of Jaimes-Illanes et al. (2025), 2 and 5 channels. Where such a pass
        fails, as one that cuts off the line does, the pass before stands.
    **settings
        See `Settings`.

    Returns
    -------
    FitResult
        With the parameters a (mJy), b1 and b2 (1 / (km/s)), c ((km/s)^-n), xe, xp and w (km/s) and n. The error of a
        parameter that stands at a bound, or has no effect on the curve, is NaN.

    Raises
    ------
    InputError
        If a setting is out of its range.
    """
    if not isinstance(margins, Sequence) or not all(margin > 0 for margin in margins):
        raise InputError(f"fit.margins={margins}: give a list of km/s above 0, or [] for a single pass")
    from hiexp.fitting.busy_model import BUSY  # torch takes seconds to import, and settings are checked without it
    from hiexp.fitting.engine import fit_lines
    from hiexp.fitting.passes import around_w50, whole

    rules = [whole, *(around_w50(margin) for margin in margins)]
    return fit_lines(spectra, BUSY, rules, Settings(**settings), "fitting Busy Functions")
