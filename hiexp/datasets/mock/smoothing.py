"""What a spectrometer's channels share with their neighbours."""

from __future__ import annotations

import numpy as np

HANNING = np.array([0.25, 0.5, 0.25])
"""Weights of three channels: next channels are then correlated by 2/3, the next by 1/6."""
REACH = 6  # channels on either side
MOST_CORRELATED = 0.9  # of next channels; what is smoother has been smoothed over more channels than that


def gaussian_smoothing(correlation: np.ndarray) -> np.ndarray:
    """Return weights, in the form of a Gaussian, that make the noise of next channels so correlated.

    Parameters
    ----------
    correlation : ndarray, shape (N,)
        Correlation of next channels of white noise after smoothing: 0 for none; Hanning smoothing has 2/3. It is
        brought to 0 to 0.9.

    Returns
    -------
    ndarray, shape (N, 13)
        Each sums to 1.
    """
    dispersions = np.linspace(0.1, 2.0, 400)  # channels
    reached = next_correlation(_gaussians(dispersions))
    return _gaussians(np.interp(np.clip(correlation, 0, MOST_CORRELATED), reached, dispersions))


def next_correlation(smoothing: np.ndarray) -> np.ndarray:
    """Return the correlation of next channels, shape (N,), of white noise smoothed by weights, shape (N, K)."""
    return np.sum(smoothing[:, 1:] * smoothing[:, :-1], axis=1) / np.sum(smoothing**2, axis=1)


def summed_correlation(smoothing: np.ndarray) -> np.ndarray:
    """Return the variance of the mean of many smoothed channels over that of as many white ones, shape (N,)."""
    return np.sum(smoothing, axis=1) ** 2 / np.sum(smoothing**2, axis=1)


def correlation_error(smoothing: np.ndarray, n_channels: int) -> np.ndarray:
    """Return the standard error of the correlation of next channels as it is measured in so many, shape (N,).

    Of noise smoothed by weights, shape (N, K): Bartlett 1946, Supplement to the JRSS 8, 27.
    """
    reach = smoothing.shape[1]
    lagged = [np.sum(smoothing[:, away:] * smoothing[:, : reach - away], axis=1) for away in range(reach)]
    padding = [np.zeros(len(smoothing))]
    rho = np.array([*padding, *lagged[:0:-1], *lagged, *padding]) / lagged[0]
    at, before, after = rho[1:-1], rho[:-2], rho[2:]
    first = lagged[1] / lagged[0]
    terms = at**2 * (1 + 2 * first**2) + after * before - 4 * first * at * before
    return np.sqrt(np.maximum(terms.sum(axis=0), 0) / n_channels)


def transfer(smoothing: np.ndarray, cycles: np.ndarray) -> np.ndarray:
    """Return what smoothing leaves of waves.

    Parameters
    ----------
    smoothing : ndarray, shape (K,) or (N, K)
        Weights, even about the middle.
    cycles : ndarray, shape (C,)
        Frequency of a wave, in a channel.

    Returns
    -------
    ndarray, shape (1, C) or (N, C)
    """
    weights = np.atleast_2d(smoothing)
    middle = weights.shape[1] // 2
    total = np.broadcast_to(weights[:, middle, None], (len(weights), len(cycles)))
    for away in range(1, middle + 1):
        total = total + 2 * weights[:, middle + away, None] * np.cos(2 * np.pi * away * cycles)
    return total


def _gaussians(dispersion: np.ndarray) -> np.ndarray:
    """Return Gaussians of these dispersions (channels), shape (N,), at the channels, shape (N, 13)."""
    weights = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / dispersion[:, None]) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)
