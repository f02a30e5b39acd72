"""Discs whose lines are as wide and as bright as asked for, in the channels and the noise asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from hiexp.datasets.mock.channels import LIGHT, REST
from hiexp.datasets.mock.galaxies import Galaxies, integrate
from hiexp.datasets.mock.populations import FASTEST, Discs, signal_to_noise
from hiexp.datasets.mock.smoothing import gaussian_smoothing, summed_correlation
from hiexp.spectral.widths import edges

LINE = ("position", "w50", "snr", "rms", "channel_width", "noise_correlation")
"""What is asked for of a line: columns of the table of fits, in its units."""
BOXES = np.array([0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.6])  # widths of W50, of which the one with the best S/N counts
SLOWEST = 2.0  # km/s of projected rotation: a line narrower than its gas disperses is scaled down as a whole
LEAST_SCALE, MOST_SCALE = 0.2, 3.0
TOLERANCE, MOST_DRAWS = 0.03, 4  # of W50; what is still beyond it after so many discs stays
SPEEDS = ["Vrot", "dispersion", "companion_velocity", "companion_dispersion"]


def draw_alike(
    for_discs: np.random.Generator,
    for_bands: np.random.Generator,
    lines: pd.DataFrame,
    discs: Discs,
    n_channels: int,
    rotation: str = "polyex",
    exactly: bool = True,
) -> tuple[Galaxies, np.ndarray, np.ndarray]:
    """Draw a disc for every line asked for.

    Parameters
    ----------
    for_discs, for_bands : Generator
        Source of the discs, and of where in its band each is.
    lines : DataFrame
        `LINE` of N lines: velocity and W50 (km/s), S/N as a fit has it (of the best box, the noise's correlation
        counted in), rms (mJy), width of a channel (km/s) and the correlation of the noise of next channels.
    discs : Discs
        How lopsided they are; their rotation follows from W50, and isotropic inclinations.
    n_channels : int
        Channels of a band.
    rotation : str
        Name of the rotation curve.
    exactly : bool
        Whether W50 has to be that asked for within 3 per cent, which takes three times as long; else it is about
        so.

    Returns
    -------
    galaxies : Galaxies
        N of them, with the S/N asked for.
    channel_khz : ndarray, shape (N,)
        Width of a channel, kHz.
    smoothing : ndarray, shape (N, K)
        Weights that make the noise so correlated; the lines are smoothed by them, too.
    """
    wanted = {name: lines[name].to_numpy(float) for name in LINE}
    redshift = 1 + wanted["position"] / LIGHT
    khz = 1000 * wanted["channel_width"] * REST / LIGHT / redshift**2
    smoothing = gaussian_smoothing(wanted["noise_correlation"])
    truth = _discs_turning(for_discs, wanted, discs)
    rows = np.arange(len(truth))  # whose W50 is not yet that asked for

    def widths() -> np.ndarray:
        at = truth.iloc[rows], np.random.default_rng(0), n_channels, khz[rows], rotation, smoothing[rows]
        return integrate(*at).truth["W50"].to_numpy()

    for number in range(MOST_DRAWS if exactly else 0):
        if number:
            again = {name: values[rows] for name, values in wanted.items()}
            truth.loc[rows] = _discs_turning(for_discs, again, discs).set_axis(rows)
        scale = np.clip(wanted["w50"][rows] / widths(), LEAST_SCALE, MOST_SCALE)
        truth.loc[rows, SPEEDS] *= scale[:, None]
        # W50 jumps where the lower horn of a lopsided line comes to be below half of the peak, or above it.
        rows = rows[np.abs(widths() / wanted["w50"][rows] - 1) > TOLERANCE]
        if not rows.size:
            break
    galaxies = integrate(truth, for_bands, n_channels, khz, rotation, smoothing)
    noise = wanted["rms"] * np.sqrt(summed_correlation(smoothing))
    brighter = wanted["snr"] / _best_box(galaxies, noise)
    flux = truth["HIflux"] * brighter
    known = galaxies.truth.assign(HIflux=flux, SNR=signal_to_noise(flux, galaxies.truth["W50"], wanted["rms"]))
    line = galaxies.line * brighter[:, None].astype(np.float32)
    return replace(galaxies, truth=known, line=line), khz, smoothing


def _discs_turning(rng: np.random.Generator, wanted: dict[str, np.ndarray], discs: Discs) -> pd.DataFrame:
    """Draw discs whose lines are about as wide as wanted: W50 is that of rotation and of the gas' dispersion."""
    turning = np.sqrt(np.maximum((wanted["w50"] ** 2 - 22.0**2) / 4, SLOWEST**2))
    turning = np.minimum(turning, 0.999 * FASTEST)
    inclination = np.arccos(rng.uniform(0, np.sqrt(1 - (turning / FASTEST) ** 2)))
    return discs.draw_turning(rng, turning / np.sin(inclination), inclination).assign(
        Vhel=wanted["position"], HIflux=1.0, rms=wanted["rms"]
    )


def _best_box(galaxies: Galaxies, noise: np.ndarray) -> np.ndarray:
    """Return the S/N of noise-free lines in the best of some boxes about them, shape (N,)."""
    channel = np.broadcast_to(np.arange(galaxies.line.shape[1], dtype=float), galaxies.line.shape)
    low, high = edges(channel, galaxies.line, 0.5)
    width = np.maximum(high - low, 1.0)[:, None] * BOXES
    middle = (low + high)[:, None] / 2 + 0.5
    running = np.concatenate([np.zeros((len(low), 1)), np.cumsum(galaxies.line, axis=1, dtype=float)], axis=1)
    ends = np.clip(np.stack([middle - width / 2, middle + width / 2]), 0, galaxies.line.shape[1] - 1e-9)
    below = ends.astype(int)
    rows = np.arange(len(low))[:, None]
    at = running[rows, below] + (ends - below) * (running[rows, below + 1] - running[rows, below])
    return ((at[1] - at[0]) / np.sqrt(ends[1] - ends[0])).max(axis=1) / noise
