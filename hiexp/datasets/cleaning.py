"""From the channels of a file to flux that can be trusted."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, median_filter, uniform_filter1d

from hiexp.datasets.stacking import Channels
from hiexp.errors import InputError

SPIKE_RMS = 8.0
MAD_OF_GAUSSIAN = 0.6744897501960817
LINE_SMOOTHING, LINE_RMS = 7, 3.0  # channels, and standard deviations of the spectrum smoothed over them
FEWEST_CHANNELS = 16
LONGEST_GAP = 0.5  # of the channels there are


def clean(velocity: np.ndarray, flux: np.ndarray, valid: np.ndarray) -> Channels:
    """Bring one spectrum into order: ascending, evenly spaced, interference and missing channels masked.

    Parameters
    ----------
    velocity : ndarray, shape (M,)
        km/s, ascending or descending.
    flux : ndarray, shape (M,)
        mJy; anything where not `valid`.
    valid : ndarray of bool, shape (M,)
        Channels that the file says may be used.

    Returns
    -------
    Channels
        L exceeds M where a gap in velocity was filled with masked channels.

    Raises
    ------
    InputError
        If too little of the spectrum is left, it has no noise, or its channels cannot be put on an even grid.
    """
    if not np.isfinite(velocity).all():
        raise InputError("a velocity is not a number")
    order = np.argsort(velocity, kind="stable")
    velocity, flux = velocity[order], flux[order]
    valid = valid[order] & np.isfinite(flux)
    if valid.sum() < FEWEST_CHANNELS:
        raise InputError(f"{valid.sum()} of {valid.size} channels can be used (NaN, missing value or zero weight)")
    velocity, flux, valid = _fill_gaps(velocity, np.where(valid, flux, 0.0), valid)
    rms = noise_rms(flux, valid)
    if rms == 0:
        raise InputError("constant flux: no noise to measure against")
    valid = valid & ~find_spikes(flux, valid, rms)
    return Channels(velocity, np.where(valid, flux, 0.0), valid, rms)


def _fill_gaps(
    velocity: np.ndarray, flux: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Insert masked channels where whole ones are missing; refuse steps that are no multiple of a channel."""
    steps = np.diff(velocity)
    channel = np.median(steps)
    missing = np.rint(steps / channel) - 1 if channel > 0 else np.full(steps.size, np.nan)
    # Channels of fixed frequency differ in velocity by a few per cent across a band.
    if not np.all(np.abs(steps / np.where(missing >= 0, (missing + 1) * channel, np.nan) - 1) < 0.2):
        raise InputError(
            f"the channels are not evenly spaced in velocity (steps of {steps.min():.3g} to {steps.max():.3g} km/s)"
        )
    if missing.sum() > LONGEST_GAP * velocity.size:
        raise InputError(f"{missing.sum():.0f} channels are missing between the {velocity.size} there are")
    if not missing.any():
        return velocity, flux, valid
    where = np.arange(velocity.size) + np.concatenate([[0], np.cumsum(missing)]).astype(int)
    every = np.arange(where[-1] + 1)
    filled = np.zeros(every.size), np.zeros(every.size, dtype=bool)
    filled[0][where], filled[1][where] = flux, valid
    return np.interp(every, where, velocity), *filled


def noise_rms(flux: np.ndarray, valid: np.ndarray) -> float:
    """Return the noise of one spectrum by the median absolute deviation of its line-free channels.

    Channels belong to a line where the spectrum smoothed over seven of them stands out by three of its own
    standard deviations, and so do the seven on either side; found anew until the noise no longer falls.

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
    free = valid
    smooth = uniform_filter1d(np.where(valid, flux, np.median(flux[valid])), LINE_SMOOTHING)
    for _ in range(5):
        level = np.median(smooth[free])
        spread = _spread(smooth[free])
        line = binary_dilation(np.abs(smooth - level) > LINE_RMS * spread, iterations=LINE_SMOOTHING)
        fewer = valid & ~line
        # A line over nearly the whole band leaves nothing to measure: keep what was left before.
        if fewer.sum() < max(FEWEST_CHANNELS, 0.2 * valid.sum()) or np.array_equal(fewer, free):
            break
        free = fewer
    return _spread(flux[free])


def _spread(values: np.ndarray) -> float:
    """Return the median absolute deviation as a standard deviation (scipy's own takes ten times as long)."""
    return float(np.median(np.abs(values - np.median(values)))) / MAD_OF_GAUSSIAN


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
    return binary_dilation(spike) & valid
