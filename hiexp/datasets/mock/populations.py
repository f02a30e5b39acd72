"""Who is in a sample: masses, distances, discs and who of them is detected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiexp.errors import InputError

HUBBLE = 70.0  # km/s/Mpc
MASS_PER_FLUX = 2.356e5  # M_sun per Mpc^2 Jy km/s, optically thin HI
FASTEST = 430.0  # km/s, rotation: none faster is known, and the profile's window holds it
PECULIAR = 200.0  # km/s, along the line of sight
LARGEST_DRAW = 500_000  # candidates at a time, which bounds the memory


def signal_to_noise(flux: np.ndarray, width: np.ndarray, rms: np.ndarray) -> np.ndarray:
    """Compute the S/N of a line as the ALFALFA catalogue does (Haynes et al. 2018, ApJ 861, 49).

    S/N = (1000 F / W50) sqrt(w) / rms, where w is the number of resolution elements of 10 km/s in half the line,
    W50 / 20, but no more than 20.

    Parameters
    ----------
    flux : ndarray
        F, Jy km/s.
    width : ndarray
        W50, km/s.
    rms : ndarray
        At 10 km/s resolution, mJy.
    """
    return 1000 * flux / width * np.sqrt(np.minimum(width, 400.0) / 20) / rms


@dataclass(frozen=True)
class Discs:
    """How the discs of a sample are drawn.

    Attributes
    ----------
    lopsidedness : float or ndarray, shape (N,)
        Scale of the half-normal m = 1 amplitude of the surface density, cut at 0.9.
    rotation_lopsidedness : float or ndarray, shape (N,)
        Standard deviation of q, the share by which one side turns faster and the other slower.
    companion_fraction : float or ndarray, shape (N,)
        Share of the galaxies with a companion at one horn.
    speed : float
        Rotation at the HI radius of a disc of 10^9.6 M_sun, km/s; this and the next are for `draw`.
    speed_slope, speed_scatter : float
        Slope of log speed over log mass, and about it (dex).
    least_inclination : float
        Degrees; inclinations are isotropic above it.

    Raises
    ------
    InputError
        If one of the last three is not between 0 and 1.
    """

    lopsidedness: float | np.ndarray
    rotation_lopsidedness: float | np.ndarray
    companion_fraction: float | np.ndarray
    speed: float = 0.0
    speed_slope: float = 0.0
    speed_scatter: float = 0.0
    least_inclination: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lopsidedness", "rotation_lopsidedness", "companion_fraction"):
            if np.any((np.less(getattr(self, name), 0)) | np.greater(getattr(self, name), 1)):
                raise InputError(f"dataset.{name}={getattr(self, name)}: must be between 0 and 1")

    def draw(self, rng: np.random.Generator, log_mass: np.ndarray) -> pd.DataFrame:
        """Draw the discs of the given HI masses (log10 of M_sun), one row each.

        Returns
        -------
        DataFrame
            Vrot (km/s at the HI radius), inclination (degrees), dispersion (km/s), turnover (HI radii), slope,
            depression, lopsidedness, lopsidedness_azimuth (degrees from the receding end of the major axis),
            rotation_lopsidedness, companion (share of the flux; 0 without one), companion_velocity (km/s from
            systemic) and companion_dispersion (km/s), NaN without one.
        """
        n = len(log_mass)
        speed = self.speed * 10 ** (self.speed_slope * (log_mass - 9.6) + rng.normal(0, self.speed_scatter, n))
        inclination = np.arccos(rng.uniform(0, np.cos(np.radians(self.least_inclination)), n))
        return self.draw_turning(rng, np.minimum(speed, FASTEST), inclination)

    def draw_turning(self, rng: np.random.Generator, speed: np.ndarray, inclination: np.ndarray) -> pd.DataFrame:
        """Draw the rest of discs that turn so fast (km/s) and are inclined so (radians), as `draw` does."""
        n = len(speed)
        horn = rng.choice([-1.0, 1.0], n) * speed * np.sin(inclination)
        paired = rng.random(n) < self.companion_fraction
        return pd.DataFrame(
            {
                "Vrot": speed,
                "inclination": np.degrees(inclination),
                "dispersion": rng.uniform(7, 12, n),
                # Fast discs rise within a smaller part of their radius: near the trend of Catinella's mean curves,
                # from 0.13 optical radii in the fastest to 0.3 in slow ones, with an HI radius of 1.7 optical ones.
                "turnover": np.clip(0.17 * (100 / speed) ** 0.8, 0.05, 0.4) * 10 ** rng.normal(0, 0.12, n),
                "slope": rng.uniform(0.0, 0.02, n),
                "depression": rng.uniform(0.0, 1.0, n),
                "lopsidedness": np.minimum(np.abs(rng.normal(0, self.lopsidedness, n)), 0.9),
                "lopsidedness_azimuth": rng.uniform(0, 360, n),
                "rotation_lopsidedness": np.clip(rng.normal(0, self.rotation_lopsidedness, n), -0.25, 0.25),
                "companion": np.where(paired, rng.uniform(0.05, 0.3, n), 0.0),
                "companion_velocity": np.where(paired, horn * rng.uniform(0.7, 1.1, n), np.nan),
                "companion_dispersion": np.where(paired, rng.uniform(12, 30, n), np.nan),
            }
        )


def expected_width(discs: pd.DataFrame) -> np.ndarray:
    """Return about the W50 (km/s) that the discs will have, to tell before they are integrated who is detected."""
    turning = 2 * discs["Vrot"] * np.sin(np.radians(discs["inclination"]))
    return np.hypot(turning, 2.355 * np.hypot(discs["dispersion"], 4.5)).to_numpy()


def _place(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Draw positions of the two regions of the ALFALFA sky, degrees."""
    hours = rng.uniform(0, 14, n)  # 7.5 h to 16.5 h, and 22 h to 3 h
    ascension = np.where(hours < 9, 7.5 + hours, (hours + 13) % 24) * 15
    declination = np.degrees(np.arcsin(rng.uniform(0, np.sin(np.radians(36)), n)))
    return pd.DataFrame({"RAJ2000": ascension, "DEJ2000": declination})


def gather(n: int, draw: Callable[[int], pd.DataFrame]) -> pd.DataFrame:
    """Call `draw`, which returns the detected of so many candidates, until there are `n`."""
    if n < 1:
        raise InputError(f"dataset.n_galaxies={n}: must be at least 1")
    kept: list[pd.DataFrame] = []
    found, tried, size = 0, 0, min(2 * n + 50, LARGEST_DRAW)
    while found < n:
        kept.append(draw(size))
        found, tried = found + len(kept[-1]), tried + size
        if tried > 1000 * (found + 100):
            raise InputError(f"only {found} of {tried} candidates are detected; lower dataset.snr_min or dataset.rms")
        size = min(int(1.1 * (n - found) * tried / max(found, 1)) + 50, LARGEST_DRAW)
    return pd.concat(kept, ignore_index=True).iloc[:n].copy()


def draw_nearby(rng: np.random.Generator, n: int, discs: Discs, rms: float, snr_min: float) -> pd.DataFrame:
    """Draw well detected, nearby spirals like AMIGA's isolated galaxies.

    Parameters
    ----------
    rng : Generator
        Source of the draws.
    n : int
        Galaxies wanted.
    discs : Discs
        How they turn.
    rms : float
        Noise of a channel, mJy.
    snr_min : float
        Least S/N, in ALFALFA's definition, of the width expected of a disc.

    Returns
    -------
    DataFrame, n rows
        RAJ2000, DEJ2000 (degrees), Vhel (km/s), Dist (Mpc), HIflux (Jy km/s), logMHI, rms (mJy) and the discs.
    """
    if rms <= 0:
        raise InputError(f"dataset.rms={rms}: must be above 0")

    def draw(size: int) -> pd.DataFrame:
        log_mass = rng.normal(9.6, 0.35, size)
        distance = rng.gamma(4.0, 18.0, size) + 15
        flux = 10**log_mass / (MASS_PER_FLUX * distance**2)
        candidates = discs.draw(rng, log_mass)
        snr = signal_to_noise(flux, expected_width(candidates), np.full(size, rms))
        known = pd.DataFrame(
            {
                "Vhel": HUBBLE * distance + rng.normal(0, PECULIAR, size),
                "Dist": distance,
                "HIflux": flux,
                "logMHI": log_mass,
                "rms": rms,
            }
        )
        return pd.concat([_place(rng, size), known, candidates], axis=1)[snr >= snr_min]

    return gather(n, draw)
