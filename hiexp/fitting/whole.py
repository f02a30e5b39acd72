"""No line: the whole series."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hiexp.errors import InputError
from hiexp.fitting.measurements import MEASUREMENTS
from hiexp.fitting.result import GOOD, FitResult
from hiexp.kinds import Several
from hiexp.spectra import Spectra, without_nan
from hiexp.spectral.widths import flux_between

BATCH = 1024  # series worked on at a time, which bounds the memory


def fit_whole(spectra: Spectra, n_samples: Several | None = None) -> FitResult:
    """Take each series from its first to its last valid sample.

    For series that are no spectra, or none with one line in them.

    Parameters
    ----------
    spectra : Spectra
        N spectra of L channels.
    n_samples : int, optional
        Samples a profile, linearly interpolated; L where None, so that series without gaps on an even axis stay
        as they are.

    Returns
    -------
    FitResult
        With ``flux_peak`` and ``flux_int`` of the valid samples. Columns that speak of a line (position, widths,
        snr) or a model are NaN.

    Raises
    ------
    InputError
        If `n_samples` is below 2.
    """
    if n_samples is not None and n_samples < 2:
        raise InputError(f"fit.n_samples={n_samples}: use 2 or more, or null for as many as the series have")
    starts = range(0, len(spectra), BATCH)
    parts = (_measure(spectra.take(slice(start, start + BATCH)), n_samples) for start in starts)
    return FitResult.joined(parts, len(spectra))


def _measure(spectra: Spectra, n_samples: int | None) -> FitResult:
    spectra = without_nan(spectra)
    enough = spectra.valid.sum(axis=1) >= 2
    peak = np.where(spectra.valid, spectra.flux, -np.inf).max(axis=1)
    everywhere = np.full(len(spectra), np.inf)
    flux = flux_between(spectra.velocity, spectra.flux, -everywhere, everywhere)
    table = pd.DataFrame(
        {
            **dict.fromkeys(MEASUREMENTS, np.nan),
            "flux_peak": np.where(enough, peak, np.nan),
            "flux_int": np.where(enough, flux / 1000, np.nan),
            "status": np.where(enough, GOOD, "fewer than two valid samples"),
            "flags": "",
        },
        index=pd.Index(spectra.ids, name="id"),
    )
    profiles = np.full((len(spectra), n_samples or spectra.flux.shape[1]), np.nan)
    windows = np.full((len(spectra), 2), np.nan)
    for row in np.flatnonzero(enough):
        velocity = spectra.velocity[row, spectra.valid[row]]
        windows[row] = velocity[[0, -1]]
        axis = np.linspace(windows[row, 0], windows[row, 1], profiles.shape[1])
        profiles[row] = np.interp(axis, velocity, spectra.flux[row, spectra.valid[row]])
    return FitResult(table, profiles, windows)
