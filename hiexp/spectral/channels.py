"""Which channels of a spectrum can be trusted, and how much noise they have."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening, median_filter, uniform_filter1d

SPIKE_RMS = 8.0
MAD_OF_GAUSSIAN = 0.6744897501960817
LINE_SMOOTHING, LINE_RMS = 7, 3.0  # channels, and standard deviations of the spectrum smoothed over them
FEWEST_CHANNELS = 16
WIDE_BAND = 512  # channels: enough beside any line
LARGEST_LINE = 1 / 3  # of a band, beside which median and spread of the whole are those of the noise
NOISE_RANGE = 0.02, 1e4  # mJy a channel: beyond a deep survey's, and a strong line taken for noise
BLANK_RUN = 4  # channels in a row that are exactly 0
LARGEST = float(np.finfo(np.float32).max)  # flux that can be: classifiers compute in single precision
# What people and libraries write for "no value", and the negatives of it.
DECIMAL_FILLS = (99.99, 999, 999.9, 999.99, 9999, 9999.99, 99999, 1e20, 1e30, 1e36)
LIBRARY_FILLS = (2**15 - 1, 2**15, 2**31, 9.96921e36, LARGEST)  # netCDF, FITS integers
FILL_VALUES = np.array(DECIMAL_FILLS + LIBRARY_FILLS)


def unusual_noise(rms: float) -> str | None:
    """Say what a noise (mJy a channel) looks like that no HI spectrum in mJy has; None for any other."""
    if NOISE_RANGE[0] <= rms <= NOISE_RANGE[1] or not np.isfinite(rms):
        return None
    unit = "Jy" if rms < NOISE_RANGE[0] else "a unit smaller than mJy"
    return f"a noise of {rms:.2g} mJy a channel: its flux looks like {unit}, or has no unit"


def find_fill_values(flux: np.ndarray, valid: np.ndarray, customary_only: bool = False) -> np.ndarray:
    """Mark channels that hold a number which stands for a missing value, such as -999 or 1e20.

    A fill value is the highest or the lowest value of the spectrum and far from the next one: one of the
    `FILL_VALUES` or their negatives, or any other number that is there three times or more, exactly, and twenty
    times farther off than the others are apart.

    Parameters
    ----------
    flux : ndarray, shape (L,)
        In any unit.
    valid : ndarray of bool, shape (L,)
        Channels to use.
    customary_only : bool
        Look for `FILL_VALUES` alone: in series that are no spectra any other number may be meant.

    Returns
    -------
    ndarray of bool, shape (L,)
    """
    found = np.zeros(flux.size, dtype=bool)
    left = valid
    searching = True
    while searching and left.any():
        searching = False
        values = flux[left]
        for extreme in (values.max(), values.min()):
            same = left & (flux == extreme)
            count = int(np.count_nonzero(same))
            customary = bool((np.abs(abs(extreme) / FILL_VALUES - 1) < 1e-6).any())
            suspected = customary or (count >= 3 and not customary_only)
            if suspected and _is_far_off(extreme, count, customary, flux[left & ~same]):
                found, left, searching = found | same, left & ~same, True
    return found


def _is_far_off(value: float, count: int, customary: bool, others: np.ndarray) -> bool:
    """Whether a value that is there `count` times is too far from the others to be one of them."""
    if others.size < 3:
        return False
    gap = np.abs(others - value).min()
    low, high = np.quantile(others, [0.01, 0.99])
    spread = _spread(others)
    if customary:
        return bool(gap > SPIKE_RMS * spread and gap > (high - low if count < 3 else 0.0))
    # A model without noise may have a box in it; it is the noise beside them that tells fill values from lines.
    return bool(gap > 20 * (high - low) and spread > 1e-6 * abs(value))


def find_blanks(flux: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Mark channels blanked with zeros: runs of four or more that are exactly 0 beside others that are not.

    None where more than half of the channels are 0 (a model without noise) or where other values are about as
    frequent as 0 (numbers written with few digits).

    Parameters
    ----------
    flux : ndarray, shape (L,)
        In any unit.
    valid : ndarray of bool, shape (L,)
        Channels to use.

    Returns
    -------
    ndarray of bool, shape (L,)
    """
    zero = valid & (flux == 0)
    n_zero = np.count_nonzero(zero)
    nothing = np.zeros(flux.size, dtype=bool)
    if n_zero < BLANK_RUN or n_zero > 0.5 * np.count_nonzero(valid):
        return nothing
    runs = binary_opening(zero, np.ones(BLANK_RUN))
    _, counts = np.unique(flux[valid & ~zero], return_counts=True)
    return runs if n_zero > 3 * counts.max() else nothing


def noise_rms(flux: np.ndarray, valid: np.ndarray) -> float:
    """Return the noise of one spectrum by the median absolute deviation of its line-free channels.

    Channels belong to a line where the spectrum smoothed over seven of them stands out by three of its own
    standard deviations, and so do the seven on either side; found anew until the noise no longer falls. Channels
    blanked with zeros do not count. In a band of fewer than 512 channels, which may be cut close to its line, the
    noise is that of channels that do not stand out from the lowest quarter, where it is a fifth lower.

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
    valid = valid & ~find_blanks(flux, valid)
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
    rms = _spread(flux[free])
    beside = _beside_emission(smooth, valid) if np.count_nonzero(valid) < WIDE_BAND else None
    lower = rms if beside is None else _spread(flux[beside])
    return lower if 1.2 * lower < rms else rms


def _beside_emission(smooth: np.ndarray, valid: np.ndarray) -> np.ndarray | None:
    """Mark channels beside emission that takes more than a third of its band, bool, shape (L,); None where none does.

    Such a line spoils median and spread of the whole smoothed band, but not those of its lowest quarter.
    """
    n_valid = np.count_nonzero(valid)
    level = np.quantile(smooth[valid], 0.25)
    beside = valid
    for _ in range(6):
        below = level - smooth[beside & (smooth < level)]
        if below.size < 4:
            return None
        line = smooth - level > LINE_RMS * np.median(below) / MAD_OF_GAUSSIAN
        fewer = valid & ~binary_dilation(line, iterations=LINE_SMOOTHING // 2 + 1)
        if np.count_nonzero(fewer) < 1.5 * FEWEST_CHANNELS:
            return None
        if np.array_equal(fewer, beside):
            break
        beside, level = fewer, np.median(smooth[fewer])
    return beside if np.count_nonzero(beside) < (1 - LARGEST_LINE) * n_valid else None


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
