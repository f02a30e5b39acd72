"""Uneven channels, brought to an even grid that conserves their flux."""

from __future__ import annotations

import numpy as np

from hiexp.datasets.cleaning import missing_channels
from hiexp.errors import InputError

WIDEST = 3.0  # times its neighbours' a step between channels is a gap
UNEVEN = 20.0  # a step that is so many times the shortest cannot be resolved by one grid
COVERED = 0.5  # of a channel, that has to be measured


def is_even(velocity: np.ndarray) -> bool:
    """Tell whether channels, ascending, are evenly spaced in velocity or in frequency, some of them left out."""
    return missing_channels(velocity) is not None


def on_even_grid(
    velocity: np.ndarray, flux: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Bring uneven channels to even ones of their median width.

    A channel reaches halfway to its neighbours, in a gap as far as on its other side. A new one has the mean flux
    density of what it covers, and is valid where at least half of it has been measured: sums over the line stay.

    Parameters
    ----------
    velocity : ndarray, shape (M,)
        km/s, ascending.
    flux : ndarray, shape (M,)
        mJy.
    valid : ndarray of bool, shape (M,)
        Channels to use.

    Returns
    -------
    velocity, flux : ndarray, shape (L,)
        Even.
    valid : ndarray of bool, shape (L,)
        Channels to use.
    words : str
        What has been done, for the screen.

    Raises
    ------
    InputError
        If the channels are of too many widths for one grid.
    """
    steps = np.diff(velocity)
    usual = float(np.median(steps))
    gaps = steps > WIDEST * usual
    if steps.min() <= 0 or np.quantile(steps[~gaps], 0.99) > UNEVEN * np.quantile(steps, 0.01):
        raise InputError(
            f"its channels are {steps.min():.3g} to {steps.max():.3g} km/s apart, too unlike for one grid; rebin them"
        )
    half = np.where(gaps, usual, steps) / 2
    low = velocity - np.concatenate([half[:1], half])
    high = velocity + np.concatenate([half, half[-1:]])
    count = round((high[-1] - low[0]) / usual)
    edges = low[0] + usual * np.arange(count + 1)
    measured = _summed(low, high, np.where(valid, 1.0, 0.0), edges)
    total = _summed(low, high, np.where(valid, flux, 0.0), edges)
    usable = measured >= COVERED * usual
    words = f"channels {steps.min():.3g} to {steps.max():.3g} km/s apart, brought to {usual:.4g} km/s"
    mean = np.divide(total, measured, out=np.zeros(count), where=usable)
    return (edges[1:] + edges[:-1]) / 2, mean, usable, words


def _summed(low: np.ndarray, high: np.ndarray, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the integral of values that are constant from `low` to `high`, shape (M,), between edges, shape (L,)."""
    ends = np.stack([low, high], axis=1).ravel()
    area = np.concatenate(
        [[0.0], np.stack([values * (high - low), np.zeros_like(values)], axis=1).ravel()[:-1]]
    ).cumsum()
    return np.diff(np.interp(edges, ends, area))
