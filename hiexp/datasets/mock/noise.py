"""What a telescope adds to the line: noise, what is left of the baseline, interference."""

from __future__ import annotations

import numpy as np

from hiexp.datasets.mock.channels import column
from hiexp.datasets.mock.smoothing import HANNING


def smoothed_noise(
    rng: np.random.Generator, rms: np.ndarray, n_channels: int, smoothing: np.ndarray = HANNING
) -> np.ndarray:
    """Draw receiver noise as it is after smoothing: by default Hanning's, when next channels are correlated by 2/3.

    That makes the resolution two channels, 10.3 km/s at rest: the rms of these channels is what the catalogue
    calls the rms at 10 km/s. Independent channels had sqrt(8 / 3) = 1.63 times as much.

    Parameters
    ----------
    rng : Generator
        Draws on in the same order whether the spectra come in one call or in many.
    rms : ndarray, shape (N,)
        Noise of a smoothed channel, mJy.
    n_channels : int
        L.
    smoothing : ndarray, shape (K,) or (N, K)
        Weights of the channels that a channel is the mean of, K odd.

    Returns
    -------
    ndarray of float32, shape (N, L)
        mJy.
    """
    gain = np.sqrt(np.sum(np.square(smoothing), axis=-1))
    kernel = np.atleast_2d(smoothing).astype(np.float32)
    white = rng.standard_normal((len(rms), n_channels + kernel.shape[1] - 1), dtype=np.float32)
    noise = kernel[:, :1] * white[:, :n_channels]
    for place in range(1, kernel.shape[1]):
        noise += kernel[:, place, None] * white[:, place : place + n_channels]
    return noise * (rms / gain).astype(np.float32)[:, None]


def draw_standing_waves(rng: np.random.Generator, amplitude: np.ndarray) -> np.ndarray:
    """Draw two standing waves a spectrum: one of about 1 MHz, between the dish and its platform, and a longer one.

    Parameters
    ----------
    rng : Generator
        Source of the draws.
    amplitude : ndarray, shape (N,)
        Typical amplitude of either wave (scale of a half-normal distribution), mJy.

    Returns
    -------
    ndarray, shape (N, 2, 3)
        Amplitude (mJy), frequency (cycles a MHz) and phase (radians) of each wave.
    """
    n = len(amplitude)
    height = np.abs(rng.normal(size=(n, 2))) * amplitude[:, None]
    period = np.column_stack([rng.normal(1.0, 0.05, n), rng.uniform(3.0, 10.0, n)])  # MHz
    return np.stack([height, 1 / period, rng.uniform(0, 2 * np.pi, (n, 2))], axis=2)


def standing_waves(waves: np.ndarray, n_channels: int, channel_khz: float | np.ndarray) -> np.ndarray:
    """Evaluate the waves of `draw_standing_waves` in every channel, mJy, shape (N, L)."""
    megahertz = (np.arange(n_channels) * column(channel_khz) / 1000)[:, None]
    height, frequency, phase = np.moveaxis(waves[..., None], 2, 0)
    each = height * np.sin(2 * np.pi * frequency * megahertz + phase)
    return each[:, 0] + each[:, 1]


def draw_interference(
    rng: np.random.Generator, rms: np.ndarray, rate: float, n_channels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw narrow interference: each spike lies in one channel of the spectrometer.

    Parameters
    ----------
    rng : Generator
        Source of the draws.
    rms : ndarray, shape (N,)
        Noise of a channel, mJy.
    rate : float
        Mean number of spikes a spectrum.
    n_channels : int
        L.

    Returns
    -------
    row, channel : ndarray of int, shape (spikes,)
        Where they are, rows ascending.
    height : ndarray, shape (spikes,)
        Peak after Hanning smoothing, mJy: 10 to 300 times the rms, one in five negative, as where the reference
        position had it.
    """
    row = np.repeat(np.arange(len(rms)), rng.poisson(rate, len(rms)))
    channel = rng.integers(0, n_channels, len(row))
    sign = np.where(rng.random(len(row)) < 0.2, -1, 1)
    return row, channel, sign * rms[row] * 10 ** rng.uniform(1.0, 2.5, len(row))


def add_spikes(flux: np.ndarray, row: np.ndarray, channel: np.ndarray, height: np.ndarray) -> None:
    """Add the spikes to `flux`, shape (N, L), in place: Hanning smoothing gives half to either neighbour."""
    for step, share in ((-1, 0.5), (0, 1.0), (1, 0.5)):
        inside = (channel + step >= 0) & (channel + step < flux.shape[1])
        np.add.at(flux, (row[inside], channel[inside] + step), (share * height[inside]).astype(flux.dtype))
