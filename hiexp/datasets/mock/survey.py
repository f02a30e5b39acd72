"""What a blind survey like ALFALFA lists: galaxies in the structures of its sky, their motions, who is detected."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtr

from hiexp.datasets.mock.galaxies import RELIABLE
from hiexp.datasets.mock.populations import (
    HUBBLE,
    MASS_PER_FLUX,
    Discs,
    expected_width,
    gather,
    signal_to_noise,
)

# Jones et al. 2018 (MNRAS 477, 2) have a knee of 9.94 and a faint end of -1.25, systematic errors 0.05 and 0.1.
# These two, noise, detection and the discs' speeds (in `mock_alfalfa`) were fitted to the distributions of pairs of
# the alpha.100 catalogue's columns (Haynes et al. 2018, ApJ 861, 49); its densities and its flow follow from them.
KNEE, FAINT_END = 9.87, -1.20  # log10 M_sun, and the power of mass below it
NOISE, NOISE_BELOW, NOISE_ABOVE = 2.3, 0.040, 0.0575  # mJy at 10 km/s resolution; its scales either side, dex
NOISE_RISE = 0.02  # dex per 10,000 km/s: towards the band's end
FADE, FADING = 5.2, 0.065  # S/N at which half are found, and the dex over which the sample fades in
KNOWN = 0.71  # of what is less than reliable is listed: that whose velocity optical surveys know
WEAKEST = 3.0  # S/N below which nothing is ever detected
QUIETEST = 0.6  # of the median noise; the scatter ends before
LARGEST_VELOCITY = 17823.0  # km/s, of the catalogue
BRIGHTEST = 1000.0  # Jy km/s; what is brighter in the catalogue's sky is resolved, and not in the catalogue
RADAR, RADAR_LOSS = (15250.0, 15950.0), 0.78  # km/s where an airport's radar (1350 MHz) hides this share

SPRING, FALL = (7.5, 9.0), (22.0, 5.0)  # hours of right ascension: where a region of the sky begins, and its extent
NORTHERNMOST = 36.0  # degrees; both regions begin at the equator
SUN = np.array([-359.0, 78.0, -46.0])  # km/s, equatorial, in the frame of the CMB: 369.8 towards l = 264, b = 48
FLOW = np.array([-215.0, 180.0, -200.0])  # km/s, there too: of the neighbourhood, as the catalogue's Dist has it
FIELD, GROUPS, GROUPED = 100.0, 600.0, 0.15  # km/s along the line of sight of the field, and of this share in groups
FLOW_MODEL = 6000.0  # km/s in the frame of the CMB, beyond which the catalogue's distances are velocities

# Density of galaxies in shells up to a distance (as 70 km/s/Mpc times it), over the mean within 15,000 km/s, in the
# spring and in the fall sky. It is what makes the model's counts those of alpha.100: Virgo at 1,200 and the wall of
# Coma at 7,000 km/s in spring, the Pisces-Perseus supercluster at 5,000 km/s in fall.
STRUCTURE = np.array(
    [
        # km/s, spring, fall
        (350, 2.35, 1.77),
        (700, 2.95, 1.60),
        (950, 2.88, 1.62),
        (1150, 1.88, 1.04),
        (1225, 9.71, 0.37),
        (1400, 1.56, 0.58),
        (1650, 1.72, 0.88),
        (1720, 2.68, 1.48),
        (2000, 1.22, 0.66),
        (2500, 0.91, 0.77),
        (3000, 0.59, 0.63),
        (3500, 0.51, 0.64),
        (4000, 0.57, 0.79),
        (4500, 0.63, 0.94),
        (5000, 0.75, 1.67),
        (5500, 0.64, 1.53),
        (6000, 0.54, 0.87),
        (6500, 0.69, 0.88),
        (7000, 1.88, 0.99),
        (7500, 1.62, 0.92),
        (8000, 0.80, 1.17),
        (8500, 1.16, 0.39),
        (9000, 0.91, 0.59),
        (10000, 1.07, 0.85),
        (11000, 1.37, 0.74),
        (12000, 0.83, 1.30),
        (13000, 1.00, 0.85),
        (14000, 1.24, 0.66),
        (15000, 1.29, 0.44),
        (16000, 1.26, 0.07),
        (17000, 0.95, 0.42),
        (18000, 0.62, 0.18),
        (19000, 0.01, 0.02),
    ]
)


def draw_alfalfa(rng: np.random.Generator, n: int, discs: Discs) -> pd.DataFrame:
    """Draw what a blind survey like ALFALFA lists of the galaxies in two regions of the sky.

    HI masses follow a Schechter function, from 10^6 M_sun, and distances the `STRUCTURE` of the region. A galaxy of
    given S/N is detected with the probability of a Gaussian distribution's integral in log S/N, and below `RELIABLE`
    only a share of these is listed; a radar hides most of some velocities. A galaxy moves with the flow of the
    neighbourhood and by itself, and is listed at the distance that the survey gives it: its velocity in the frame of
    the CMB over 70 km/s/Mpc beyond 6,000 km/s, its own within, where the survey has a model of the flow. The listed
    mass is that of the listed distance.

    Parameters
    ----------
    rng : Generator
        Source of the draws.
    n : int
        Galaxies wanted.
    discs : Discs
        How they turn.

    Returns
    -------
    DataFrame, n rows
        The columns of `hiexp.datasets.mock.populations.draw_nearby`.
    """
    grid = np.linspace(6.0, 11.2, 2001)
    schechter = 10 ** ((grid - KNEE) * (FAINT_END + 1)) * np.exp(-(10 ** (grid - KNEE)))
    # Few masses can be seen far away: a candidate is drawn within the distance at which its mass fades below the
    # least S/N in the best of cases, and masses in proportion to the galaxies that this opens. Rejection by the
    # detection probability then leaves what a draw of them all would.
    volume = np.concatenate([[0.0], (STRUCTURE[:, 0] / HUBBLE) ** 3])
    extent = (SPRING[1], FALL[1])
    inside = [
        np.concatenate([[0.0], np.cumsum(hours * density * np.diff(volume))])
        for hours, density in zip(extent, STRUCTURE[:, 1:].T, strict=True)
    ]
    numbers = np.concatenate([schechter * np.interp(_reach(grid) ** 3, volume, shells) for shells in inside])
    cumulative = np.cumsum(numbers) / numbers.sum()

    def draw(size: int) -> pd.DataFrame:
        fall, cell = np.divmod(np.searchsorted(cumulative, rng.random(size)), len(grid))
        log_mass = grid[cell] + rng.uniform(-0.5, 0.5, size) * (grid[1] - grid[0])
        share = rng.random(size)
        distance = np.empty(size)
        for region, shells in enumerate(inside):
            rows = fall == region
            within = np.interp(_reach(log_mass[rows]) ** 3, volume, shells)
            distance[rows] = np.cbrt(np.interp(share[rows] * within, shells, volume))
        flux = 10**log_mass / (MASS_PER_FLUX * distance**2)
        candidates = discs.draw(rng, log_mass)

        position = _place(rng, fall == 1)
        sight = _direction(position)
        own = rng.normal(size=size) * np.where(rng.random(size) < GROUPED, GROUPS, FIELD)
        velocity = HUBBLE * distance + sight @ FLOW + own
        heliocentric = velocity - sight @ SUN
        listed = np.where(velocity > FLOW_MODEL, velocity / HUBBLE, distance)
        rms = _noise(rng, velocity)

        snr = signal_to_noise(flux, expected_width(candidates), rms)
        chance = ndtr(np.log10(snr / FADE) / FADING) * np.where(snr < RELIABLE, KNOWN, 1.0)
        chance[(heliocentric > RADAR[0]) & (heliocentric < RADAR[1])] *= 1 - RADAR_LOSS
        found = (snr > WEAKEST) & (rng.random(size) < chance)
        found &= (heliocentric <= LARGEST_VELOCITY) & (flux < BRIGHTEST)
        known = pd.DataFrame(
            {
                "Vhel": heliocentric,
                "Dist": listed,
                "HIflux": flux,
                "logMHI": np.log10(MASS_PER_FLUX * listed**2 * flux),
                "rms": rms,
            }
        )
        return pd.concat([position, known, candidates], axis=1)[found]

    return gather(n, draw)


def _reach(log_mass: np.ndarray) -> np.ndarray:
    """Return the distance (Mpc) beyond which a mass is not detected, or the survey ends."""
    narrowest = 20.0
    least_flux = WEAKEST * QUIETEST * NOISE * np.sqrt(20 * narrowest) / 1000
    return np.minimum(np.sqrt(10**log_mass / (MASS_PER_FLUX * least_flux)), STRUCTURE[-1, 0] / HUBBLE)


def _noise(rng: np.random.Generator, velocity: np.ndarray) -> np.ndarray:
    """Draw the rms (mJy) at these velocities (km/s): fewer or more drifts over a place give it long tails."""
    deviation = np.clip(rng.standard_t(4, len(velocity)), -5.0, 8.0)
    scale = np.where(deviation < 0, NOISE_BELOW, NOISE_ABOVE)
    return NOISE * 10 ** (scale * deviation + NOISE_RISE * np.maximum(velocity, 0) / 1e4)


def _place(rng: np.random.Generator, fall: np.ndarray) -> pd.DataFrame:
    """Draw positions in the spring sky or, where `fall`, in the other, degrees."""
    share = rng.random(len(fall))
    hours = np.where(fall, FALL[0] + FALL[1] * share, SPRING[0] + SPRING[1] * share)
    declination = np.arcsin(rng.uniform(0, np.sin(np.radians(NORTHERNMOST)), len(fall)))
    return pd.DataFrame({"RAJ2000": 15 * (hours % 24), "DEJ2000": np.degrees(declination)})


def _direction(position: pd.DataFrame) -> np.ndarray:
    """Return the unit vectors of positions, equatorial, shape (N, 3)."""
    ascension, declination = np.radians(position.to_numpy()).T
    level = np.cos(declination)
    return np.column_stack([level * np.cos(ascension), level * np.sin(ascension), np.sin(declination)])
