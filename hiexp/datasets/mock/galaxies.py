"""Galaxies with their noise-free lines, and what follows from these: widths, asymmetry, S/N, class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiexp.datasets.mock.channels import channel_velocities
from hiexp.datasets.mock.populations import signal_to_noise
from hiexp.datasets.mock.profiles import line_profiles, window_length
from hiexp.datasets.mock.smoothing import HANNING
from hiexp.errors import InputError
from hiexp.mapped import empty_rows
from hiexp.spectral.widths import CLASS_LIMITS, asymmetry_class, edges, flux_asymmetry, horn_edges

RELIABLE = 6.5  # S/N of the catalogue's code 1
BATCH = 256  # galaxies worked on at a time, which bounds the memory: their disc cells take 6 MB an array
MOST_DRAWS = 100  # times the sample's size, to fill every class
OFF_CENTRE = 0.2  # of the band: how far from its middle a galaxy may be


@dataclass(frozen=True)
class Galaxies:
    """Galaxies in their bands, without noise.

    Attributes
    ----------
    truth : DataFrame, N rows
        What the catalogue will hold.
    centre : ndarray, shape (N,)
        Velocity in the middle of each band, km/s.
    first : ndarray of int, shape (N,)
        Channel of the band at which the line's window begins; negative or beyond the band in a narrow one.
    line : ndarray of float32, shape (N, window)
        Noise-free flux density in the window, mJy.
    """

    truth: pd.DataFrame
    centre: np.ndarray
    first: np.ndarray
    line: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """Classes by A_flux: 0 symmetric, 1 slightly, 2 strongly asymmetric, shape (N,)."""
        return asymmetry_class(self.truth["A_flux"].to_numpy())

    def take(self, rows: np.ndarray) -> Galaxies:
        """Return the galaxies of these row numbers."""
        return Galaxies(self.truth.iloc[rows], self.centre[rows], self.first[rows], self.line[rows])

    def joined(self, other: Galaxies) -> Galaxies:
        """Return these galaxies and the others after them."""
        return Galaxies(
            pd.concat([self.truth, other.truth], ignore_index=True),
            np.concatenate([self.centre, other.centre]),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.line, other.line]),
        )


def integrate(
    truth: pd.DataFrame,
    rng: np.random.Generator,
    n_channels: int,
    channel_khz: float | np.ndarray,
    rotation: str,
    smoothing: np.ndarray = HANNING,
    horns: bool = False,
) -> Galaxies:
    """Compute the lines of these galaxies and what follows from them.

    Parameters
    ----------
    truth : DataFrame
        N galaxies of `hiexp.datasets.mock.populations`.
    rng : Generator
        Places the galaxies in their bands.
    n_channels : int
        Channels of a band.
    channel_khz : float or ndarray, shape (N,)
        Width of a channel, kHz.
    rotation : str
        Name of the rotation curve.
    smoothing : ndarray, shape (K,) or (N, K)
        Weights of the channels that a channel is the mean of.
    horns : bool
        Whether W50 is that of ALFALFA, between the points at half of the horn of either side, and not at half of the
        peak.
    """
    n = len(truth)
    khz, kernel = np.broadcast_to(channel_khz, n), np.broadcast_to(smoothing, (n, np.shape(smoothing)[-1]))
    systemic = truth["Vhel"].to_numpy()
    off = rng.uniform(-OFF_CENTRE, OFF_CENTRE, n) * n_channels
    window = window_length(channel_khz)
    centre = channel_velocities(systemic, off[:, None], channel_khz)[:, 0]
    middle = (n_channels - 1) / 2
    first = np.floor(middle - off).astype(int) - window // 2
    line = empty_rows((n, window), np.float32)
    measured = np.empty((n, 3))
    for start in range(0, n, BATCH):
        rows = slice(start, start + BATCH)
        offset = first[rows, None] + np.arange(window) - middle
        velocity = channel_velocities(centre[rows], offset, khz[rows])
        profile = line_profiles(truth.iloc[rows], velocity, khz[rows], rotation, kernel[rows])
        low50, high50 = horn_edges(velocity, profile) if horns else edges(velocity, profile, 0.5)
        low20, high20 = edges(velocity, profile, 0.2)
        measured[rows] = np.column_stack([high50 - low50, high20 - low20, flux_asymmetry(velocity, profile)])
        line[rows] = profile
    truth = truth.assign(W50=measured[:, 0], W20=measured[:, 1], A_flux=measured[:, 2])
    snr = signal_to_noise(truth["HIflux"], truth["W50"], truth["rms"])
    return Galaxies(truth.assign(SNR=snr, HI=np.where(snr >= RELIABLE, 1, 2)), centre, first, line)


def draw_balanced(draw: Callable[[int], Galaxies], n: int) -> Galaxies:
    """Draw until every class has its share of `n`, and keep the first of each in the order they came.

    Raises
    ------
    InputError
        If a class does not fill.
    """
    n_classes = len(CLASS_LIMITS) + 1
    wanted = np.array([len(range(name, n, n_classes)) for name in range(n_classes)])
    sky = draw(n)
    while np.any((counts := np.bincount(sky.classes, minlength=n_classes)) < wanted):
        if len(sky.truth) >= MOST_DRAWS * n:
            raise InputError(
                f"dataset.balance=true: of {len(sky.truth)} galaxies {', '.join(map(str, counts))} are of classes "
                f"0, 1, ..., and {wanted[0]} of each are wanted; try another dataset.lopsidedness"
            )
        sky = sky.joined(draw(n))
    classes = sky.classes
    kept = [np.flatnonzero(classes == name)[:count] for name, count in enumerate(wanted)]
    return sky.take(np.sort(np.concatenate(kept)))
