"""No model: measurements on the data themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
from tqdm import tqdm

from hiexp.fitting.batches import in_order
from hiexp.fitting.measurements import MEASUREMENTS, width_levels
from hiexp.fitting.result import GOOD, FitResult
from hiexp.kinds import Positive, Several
from hiexp.spectra import Spectra, without_nan
from hiexp.spectral.widths import edges, flux_asymmetry, flux_between

BATCH = 1000  # spectra worked on at a time, which bounds the memory


def fit_none(spectra: Spectra, n_samples: Several = 256, half_window: Positive = 0.75) -> FitResult:
    """Sample each spectrum over a window in proportion to its line.

    Masked channels are bridged by a straight line between their valid neighbours.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    n_samples : int
        Samples a profile.
    half_window : float
        Reach of the window on each side of the line's centre, in widths of the line.

    Returns
    -------
    FitResult
        Widths at a fraction of the peak are measured on the spectrum smoothed over three channels, seen from outside
        the line. Model columns (chi2 and its kin) are NaN, there being no model, and so are horns and the widths that
        need them, which noise would make. Flags say what lies beside the window.
    """
    starts = range(0, len(spectra), BATCH)
    batches = ((spectra.take(slice(start, start + BATCH)), n_samples, half_window) for start in starts)
    parts = in_order(_measure, batches, len(starts))
    with tqdm(parts, "measuring lines", len(starts), unit_scale=BATCH, delay=1, leave=False) as bar:
        return FitResult.joined(bar, len(spectra))


def _measure(spectra: Spectra, n_samples: int, half_window: float) -> FitResult:
    import torch  # which takes seconds, and settings are checked without it
    from scipy.ndimage import uniform_filter1d

    from hiexp.fitting.flags import look_beside, words
    from hiexp.fitting.line import find_lines, tensors
    from hiexp.fitting.status import without_content

    spectra = without_nan(spectra)
    channels = tensors(spectra, torch.device("cpu"))
    lines, status = find_lines(channels), without_content(channels)
    centre, width, snr = (value.numpy() for value in (lines.centre, lines.width, lines.snr))
    low, high = centre - half_window * width, centre + half_window * width
    inside = spectra.valid & (spectra.velocity >= low[:, None]) & (spectra.velocity <= high[:, None])
    smooth = np.where(inside, uniform_filter1d(spectra.flux, 3, axis=1), 0.0)
    status[(status == GOOD) & (snr == 0)] = "no emission found"
    found = status == GOOD

    def measured(values: np.ndarray) -> np.ndarray:
        return np.where(found, values, np.nan)

    levels = width_levels() | width_levels(once=True)
    rows = torch.from_numpy(np.flatnonzero(found))
    ends = (torch.from_numpy(value)[rows] for value in (low, high))
    beside = look_beside(channels.take(rows), lines.take(rows), channels.flux[rows], *ends)
    v_confusion, flags = np.full(len(spectra), np.nan), np.full(len(spectra), "", dtype=object)
    v_confusion[found] = beside.v_confusion.numpy()
    flags[found] = words({name: value.numpy() for name, value in beside.applies.items()}, len(rows))
    flux = flux_between(spectra.velocity, spectra.flux, np.nan_to_num(low), np.nan_to_num(high))
    table = pd.DataFrame(
        {
            **dict.fromkeys(MEASUREMENTS, np.nan),
            "position": measured(centre),
            **{name: measured(_width(spectra.velocity, smooth, level)) for name, level in levels.items()},
            "flux_peak": measured(smooth.max(axis=1)),
            "flux_int": measured(flux / 1000),
            "snr": snr,
            "A_flux": measured(flux_asymmetry(spectra.velocity, smooth)),
            "v_confusion": v_confusion,
            **lines.beside(spectra, channels),
            "status": status,
            "flags": flags,
        },
        index=pd.Index(spectra.ids, name="id"),
    )
    profiles = np.full((len(spectra), n_samples), np.nan)
    for row in np.flatnonzero(found):
        window = np.linspace(low[row], high[row], n_samples)
        valid = spectra.valid[row]
        profiles[row] = np.interp(window, spectra.velocity[row, valid], spectra.flux[row, valid])
    return FitResult(table, profiles, np.where(found[:, None], np.stack([low, high], axis=1), np.nan))


def _width(velocity: np.ndarray, profile: np.ndarray, level: float) -> np.ndarray:
    low, high = edges(velocity, profile, level)
    return high - low
