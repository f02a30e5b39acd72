"""Model HI spectra by another physics than `hiexp.datasets.mock`: clouds drawn from warped, lopsided discs.

Nothing here is that module's, neither code nor formulae: another rotation curve, another distribution of the gas,
asymmetries that grow with radius, and measures written anew. A learner that is worth something on one sky only has
learned how that sky was made.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from hiexp.spectra import Spectra

CHANNEL = 5.0  # km/s
BORDERS = (1.26, 1.39)  # A_flux
BATCH = 64  # galaxies whose clouds are in memory at a time
CLOUD_WIDTH = 5.0  # km/s, the standard deviation of one cloud's own line
KERNEL = np.exp(-0.5 * (np.arange(-4, 5) * CHANNEL / CLOUD_WIDTH) ** 2)
HANNING = np.array([0.25, 0.5, 0.25])


def cloud_discs(
    n_galaxies: int,
    seed: int,
    snr: tuple[float, float] = (6.0, 40.0),
    lopsidedness: float = 0.36,
    tails: float = 0.1,
    hanning: bool = True,
    n_channels: int = 512,
    n_clouds: int = 3000,
) -> Spectra:
    """Return the spectra of galaxies that are discs of clouds.

    Parameters
    ----------
    n_galaxies : int
        N.
    seed : int
        Seed of galaxies, clouds and noise; the galaxies do not change with `snr`.
    snr : (float, float)
        S/N as ALFALFA has it, drawn evenly in its logarithm (Haynes et al. 2018, ApJ 861, 49): 1000 F / W50
        (min(W50, 400) / 20)^0.5 / rms, F in Jy km/s, W50 in km/s, rms in mJy at 10 km/s.
    lopsidedness : float
        Mean strength at the disc's scale radius of the m = 1 mode of the gas; the kinematic one follows it.
    tails : float
        Share of the galaxies that have lost gas to one side.
    hanning : bool
        Whether the channels of 5 km/s have been Hanning smoothed, to a resolution of 10 km/s; else noise is white.
    n_channels : int
        L.
    n_clouds : int
        Clouds a galaxy.

    Returns
    -------
    Spectra
        Arrays of the shape (N, L), flux density in mJy, `reference` 0, 1 or 2 by A_flux of the line without noise,
        and in the catalogue what is true of that: ``A_flux``, ``W50`` (km/s), ``SNR``, ``HIflux`` (Jy km/s) and
        ``Vhel`` (km/s).
    """
    disc_rng, noise_rng = np.random.default_rng(seed).spawn(2)
    velocity, line, systemic = cloud_lines(n_galaxies, disc_rng, lopsidedness, tails, hanning, n_channels, n_clouds)
    a_flux, w50 = np.array([measure(*one) for one in zip(velocity, line, strict=True)]).T
    flux_int = line.sum(axis=1) * CHANNEL / 1000

    wanted = np.exp(noise_rng.uniform(*np.log(snr), n_galaxies))
    rms = 1000 * flux_int / w50 * np.sqrt(np.minimum(w50, 400) / 20) / wanted
    # Channels of half the resolution that the S/N is of have more noise, unless they are smoothed to it.
    rms *= 1 if hanning else np.sqrt(10 / CHANNEL)
    noise = noise_rng.normal(size=(n_galaxies, n_channels + 2))
    noise = smoothed(noise, HANNING / np.linalg.norm(HANNING)) if hanning else noise
    ids = np.array([f"cloud{number}" for number in range(n_galaxies)])
    true = {"A_flux": a_flux, "W50": w50, "SNR": wanted, "HIflux": flux_int, "Vhel": systemic}
    return Spectra(
        ids=ids,
        velocity=velocity,
        flux=line + rms[:, None] * noise[:, 1:-1],
        rms=rms,
        valid=np.ones(line.shape, bool),
        catalogue=pd.DataFrame(true, index=ids),
        systemic=systemic,
        reference=np.digitize(a_flux, BORDERS, right=True),
    )


def cloud_lines(
    n_galaxies: int,
    rng: np.random.Generator,
    lopsidedness: float = 0.36,
    tails: float = 0.1,
    hanning: bool = True,
    n_channels: int = 512,
    n_clouds: int = 3000,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return velocities (km/s) and lines without noise (mJy), shape (N, L), and systemic velocities, shape (N,)."""
    n = n_galaxies
    systemic = rng.uniform(1000, 15000, n)
    middle = np.round(systemic + rng.uniform(-400, 400, n), 1)
    velocity = middle[:, None] + CHANNEL * (np.arange(n_channels) - (n_channels - 1) / 2)
    discs = {
        "speed": np.exp(rng.uniform(np.log(35), np.log(280), n)),  # the largest, km/s
        "peak": rng.uniform(0.3, 1.1, n),  # radius at which it is reached
        "brandt": rng.uniform(0.8, 3.0, n),  # the larger, the steeper is the decline beyond
        "inclination": np.arccos(rng.uniform(0.02, 0.9, n)),
        "warp": rng.normal(0, np.radians(12), (2, n)),  # in inclination and position angle, a unit of radius
        "shape": rng.uniform(1.7, 3.0, n),
        "density": rng.gamma(4, lopsidedness / 4, n),
        "kinematic": rng.gamma(4, 0.4 * lopsidedness / 4, n),
        "phase": rng.uniform(0, 2 * np.pi, (2, n)),
        "winding": rng.normal(0, 0.8, n),
        "turbulence": rng.uniform(6, 11, n),  # km/s, in the outskirts
        "tail": np.where(rng.random(n) < tails, rng.uniform(0.05, 0.2, n), 0),  # share of the gas
        "tail_speed": rng.choice([-1, 1], n) * rng.uniform(0.5, 1.5, n),
    }
    counts = np.empty((n, n_channels))
    for start in range(0, n, BATCH):
        rows = slice(start, start + BATCH)
        moving = _clouds({name: values[..., rows, None] for name, values in discs.items()}, rng, n_clouds)
        place = np.rint((moving + systemic[rows, None] - velocity[rows, :1]) / CHANNEL).astype(int)
        place = np.clip(place, 0, n_channels - 1) + n_channels * np.arange(len(place))[:, None]
        counts[rows] = np.bincount(place.ravel(), minlength=len(place) * n_channels).reshape(-1, n_channels)
    line = smoothed(counts, KERNEL / KERNEL.sum())
    line = smoothed(line, HANNING) if hanning else line
    flux_int = np.exp(rng.uniform(np.log(0.5), np.log(20), (n, 1)))  # Jy km/s
    return velocity, line * 1000 * flux_int / (line.sum(axis=1, keepdims=True) * CHANNEL), systemic


def _clouds(disc: dict[str, np.ndarray], rng: np.random.Generator, n_clouds: int) -> np.ndarray:
    """Return the velocity of each cloud along the line of sight, km/s from systemic, shape (N, n_clouds).

    Brandt's (1960, ApJ 131, 293) rotation curve; radii from a Weibull distribution, a disc with or without a hole
    that ends more steeply than an exponential one.
    """
    shape = disc["speed"].size, n_clouds
    radius = rng.weibull(np.broadcast_to(disc["shape"], shape))
    # Of two opposite places that is taken which the density 1 + e cos(angle) prefers, in its proportion.
    mode = np.minimum(disc["density"] * radius, 1)
    angle = rng.uniform(0, 2 * np.pi, shape)
    angle += np.pi * (rng.random(shape) > (1 + mode * np.cos(angle)) / 2)
    azimuth = angle + disc["phase"][0] + disc["winding"] * radius

    reach = radius / disc["peak"]
    power = disc["brandt"]
    speed = disc["speed"] * reach / (1 / 3 + 2 / 3 * reach**power) ** (1.5 / power)
    stream = np.minimum(disc["kinematic"] * radius, 0.5) * speed
    side = azimuth - disc["phase"][1]
    beyond = np.maximum(radius - 0.8, 0)
    tilt = disc["inclination"] + disc["warp"][0] * beyond
    node = azimuth - disc["warp"][1] * beyond
    along = (speed + stream * np.cos(side)) * np.cos(node) + 0.5 * stream * np.sin(side) * np.sin(node)
    spread = disc["turbulence"] * (1 + np.exp(-2 * radius))
    moving = along * np.sin(tilt) + spread * rng.normal(size=shape)

    torn = rng.random(shape) < disc["tail"]
    fall = disc["speed"] * np.sin(disc["inclination"]) * disc["tail_speed"] * rng.random(shape)
    return np.where(torn, fall + disc["turbulence"] * rng.normal(size=shape), moving)


def smoothed(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return rows convolved with a kernel of odd length; beyond their ends there is nothing."""
    half = len(kernel) // 2
    padded = np.pad(values, ((0, 0), (half, half)))
    return sum(weight * padded[:, place : place + values.shape[1]] for place, weight in enumerate(kernel))


def measure(velocity: np.ndarray, line: np.ndarray) -> tuple[float, float]:
    """Return A_flux, the larger over the smaller flux on either side of a line's middle, and W50 of one line, km/s.

    The line ends where it first passes 20 % of its peak, from either side, and its middle is midway between.
    """
    low, high = _ends(velocity, line, 0.2)
    bounds = np.append(velocity - CHANNEL / 2, velocity[-1] + CHANNEL / 2)
    passed = np.interp([low, (low + high) / 2, high], bounds, np.append(0, np.cumsum(line)))
    halves = np.diff(passed)
    return halves.max() / halves.min(), np.diff(_ends(velocity, line, 0.5))[0]


def _ends(velocity: np.ndarray, line: np.ndarray, level: float) -> tuple[float, float]:
    """Return the first and the last velocity at which the line passes a fraction of its peak."""
    height = level * line.max()
    (above,) = np.nonzero(line >= height)
    first, last = above[0], above[-1]
    low = np.interp(height, line[first - 1 : first + 1], velocity[first - 1 : first + 1])
    high = np.interp(height, line[[last + 1, last]], velocity[[last + 1, last]])
    return low, high
