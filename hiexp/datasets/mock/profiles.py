"""From discs to noise-free line profiles, many at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hiexp.datasets.mock.channels import LIGHT, channel_widths, column, frequency_of
from hiexp.datasets.mock.discs import OUTERMOST, rotation_curve, surface_density
from hiexp.datasets.mock.smoothing import HANNING, transfer

REACH = 650.0  # km/s on either side of a galaxy: more than any line takes
OVERSAMPLING = 4
"""Grid points a channel."""
N_RADII, N_AZIMUTHS = 48, 64
COLUMNS = (
    "Vhel",
    "HIflux",
    "Vrot",
    "inclination",
    "dispersion",
    "turnover",
    "slope",
    "depression",
    "lopsidedness",
    "lopsidedness_azimuth",
    "rotation_lopsidedness",
    "companion",
    "companion_velocity",
    "companion_dispersion",
)
"""What of a disc its profile depends on."""


def window_length(channel_khz: float | np.ndarray) -> int:
    """Return how many channels of (at least) this width, kHz, to compute around a line.

    It is a power of two: 256 of ALFALFA's.
    """
    return 2 ** int(np.ceil(np.log2(2 * REACH / np.min(channel_widths(np.zeros(()), channel_khz)))))


def line_profiles(
    discs: pd.DataFrame,
    velocity: np.ndarray,
    channel_khz: float | np.ndarray,
    rotation: str = "polyex",
    smoothing: np.ndarray = HANNING,
    n_radii: int = N_RADII,
    n_azimuths: int = N_AZIMUTHS,
) -> np.ndarray:
    """Integrate rotating, lopsided discs into what a receiver without noise measures.

    Every disc is cut into `n_radii` x `n_azimuths` cells. Each has a velocity along the line of sight

        V f(r) (1 + q cos a) cos a sin i,    f = 1 at the HI radius,

    and an amount of gas S(r) (1 + e cos p cos a) r. Azimuth a is counted from the receding end of the major axis
    and p is the azimuth of the m = 1 mode; its part along the minor axis cancels in the integral, and the rest is
    even in a, so that half of each ring is enough. The cells are shared out linearly over a grid four times finer
    than the channels. The gas dispersion, the channel's width, the smoothing and the inverse of the linear
    sharing are then one product in Fourier space, where a companion's Gaussian is added to the disc.

    Parameters
    ----------
    discs : DataFrame
        N rows with `COLUMNS`, as `hiexp.datasets.mock.populations` draws them.
    velocity : ndarray, shape (N, L)
        Centres of the channels to compute, at most `window_length` of one width in frequency, km/s, ascending.
    channel_khz : float or ndarray, shape (N,)
        Width of a channel, kHz.
    rotation : str
        Name of the rotation curve.
    smoothing : ndarray, shape (K,) or (N, K)
        Weights of the channels that a channel is the mean of.
    n_radii, n_azimuths : int
        Cells of a disc.

    Returns
    -------
    ndarray, shape (N, L)
        Flux density, mJy. What of a line lies outside the channels is lost.

    Raises
    ------
    InputError
        If there is no such rotation curve.
    """
    disc = {name: discs[name].to_numpy(dtype=float) for name in COLUMNS}
    length = velocity.shape[1]
    window = window_length(channel_khz)
    size = window * OVERSAMPLING
    # Channel coordinates: 0 at the lower edge of the first channel, growing by 1 a channel.
    systemic = frequency_of(disc["Vhel"])
    middle = 1000 * (frequency_of(velocity[:, 0]) - systemic) / channel_khz + 0.5
    band = 1000 * systemic / channel_khz
    width = channel_widths(disc["Vhel"], channel_khz)

    def place(shift: np.ndarray) -> np.ndarray:
        redshift = shift / (LIGHT + disc["Vhel"][:, None])
        return middle[:, None] + band[:, None] * redshift / (1 + redshift)

    shift, weight = _cells(disc, rotation, n_radii, n_azimuths)
    spectrum = np.fft.rfft(_deposit(place(shift) * OVERSAMPLING, weight, size), axis=1)
    cycles = np.arange(size // 2 + 1) / window  # a channel
    spectrum *= _gaussian(cycles, disc["dispersion"] / width) / np.sinc(cycles / OVERSAMPLING) ** 2
    paired = disc["companion"] > 0
    if paired.any():
        share = disc["companion"][paired, None]
        other = np.exp(-2j * np.pi * cycles * place(disc["companion_velocity"][:, None])[paired])
        other *= _gaussian(cycles, (disc["companion_dispersion"] / width)[paired])
        spectrum[paired] = (1 - share) * spectrum[paired] + share * other
    spectrum *= np.sinc(cycles) * transfer(smoothing, cycles)
    grid = np.fft.irfft(spectrum, n=size, axis=1)
    share_in_channel = OVERSAMPLING * grid[:, OVERSAMPLING // 2 :: OVERSAMPLING][:, :length]
    return 1000 * disc["HIflux"][:, None] * share_in_channel / channel_widths(velocity, column(channel_khz))


def _cells(
    disc: dict[str, np.ndarray], rotation: str, n_radii: int, n_azimuths: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the velocity (km/s, from systemic) and the share of the gas of every cell, shape (N, cells)."""
    n = len(disc["Vhel"])
    # Gauss-Legendre in the root of the radius: rings are closest where the rotation curve is steep.
    node, importance = np.polynomial.legendre.leggauss(n_radii)
    root = (node + 1) / 2
    radius = OUTERMOST * root**2
    cosine = np.cos((np.arange(n_azimuths) + 0.5) / n_azimuths * np.pi)
    projected = disc["Vrot"] * np.sin(np.radians(disc["inclination"]))
    speed = projected[:, None] * rotation_curve(rotation)(radius, disc["turnover"], disc["slope"])
    sides = cosine * (1 + disc["rotation_lopsidedness"][:, None] * cosine)
    gas = surface_density(radius, disc["depression"]) * radius * root * importance
    gas /= gas.sum(axis=1, keepdims=True)
    mode = disc["lopsidedness"] * np.cos(np.radians(disc["lopsidedness_azimuth"]))
    around = (1 + mode[:, None] * cosine) / n_azimuths
    shift = speed[:, :, None] * sides[:, None, :]
    weight = gas[:, :, None] * around[:, None, :]
    return shift.reshape(n, -1), weight.reshape(n, -1)


def _deposit(position: np.ndarray, weight: np.ndarray, size: int) -> np.ndarray:
    """Share each cell's weight between the two grid points next to its position, shape (N, size)."""
    n = len(position)
    # The grid is periodic: a cell outside it would come in at the other end.
    np.clip(position, 0, size - 2, out=position)
    below = position.astype(np.int64)
    beyond = position
    beyond -= below
    beyond *= weight
    below += size * np.arange(n)[:, None]
    below = below.ravel()
    upper = np.bincount(below, weights=beyond.ravel(), minlength=n * size)
    grid = np.bincount(below, weights=weight.ravel(), minlength=n * size) - upper
    grid[1:] += upper[:-1]
    return grid.reshape(n, size)


def _gaussian(cycles: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Fourier transform of unit Gaussians whose dispersions (N,) are in channels, shape (N, cycles)."""
    return np.exp(-2 * np.pi**2 * dispersion[:, None] ** 2 * cycles**2)
