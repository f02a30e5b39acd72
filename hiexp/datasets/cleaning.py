"""From the channels of a file to flux that can be trusted."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter
from scipy.stats import median_abs_deviation

SPIKE_RMS = 8.0


def noise_rms(flux: np.ndarray, valid: np.ndarray) -> float:
    """Return the noise of one spectrum by its median absolute deviation, channels beyond 3 sigma clipped once.

    Parameters
    ----------
    flux : ndarray, shape (L,)
        Flux density, mJy.
    valid : ndarray of bool, shape (L,)
        Channels to use; at least one.

    Returns
    -------
    float
        Gaussian-equivalent standard deviation, mJy; 0 for constant flux.
    """
    values = flux[valid] - np.median(flux[valid])
    rms = median_abs_deviation(values, scale="normal")
    return float(median_abs_deviation(values[np.abs(values) <= 3 * rms], scale="normal"))


def find_spikes(flux: np.ndarray, valid: np.ndarray, rms: float) -> np.ndarray:
    """Mark interference: spikes too narrow, or too negative, to be a galaxy's line.

    A channel is a spike where it stands 8 rms off the median of its 11 neighbours while the channels two away
    on either side do not share a fifth of its height. Hanning smoothing spreads interference over three
    channels, so a spike's two neighbours are marked with it. Galaxies emit, so every excursion below -8 rms is
    marked as well.

    Parameters
    ----------
    flux : ndarray, shape (L,)
        Flux density, mJy, with any finite value where not `valid`.
    valid : ndarray of bool, shape (L,)
        Channels to use.
    rms : float
        Noise of one channel, mJy.

    Returns
    -------
    ndarray of bool, shape (L,)
        Channels to leave out.
    """
    values = np.where(valid, flux, 0.0)
    height = np.abs(values - median_filter(values, size=11, mode="nearest"))
    two_away = np.pad(height, 2)
    shoulder = np.maximum(two_away[:-4], two_away[4:])
    spike = ((height > SPIKE_RMS * rms) & (shoulder < 0.2 * height)) | (values < -SPIKE_RMS * rms)
    spike[1:] |= spike[:-1].copy()
    spike[:-1] |= spike[1:].copy()
    return spike & valid
