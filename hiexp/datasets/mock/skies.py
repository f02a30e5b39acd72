"""The model samples: a population, its profiles, and what a telescope adds."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from hiexp.datasets.mock.channels import CHANNEL_KHZ
from hiexp.datasets.mock.galaxies import Galaxies, draw_balanced, integrate
from hiexp.datasets.mock.populations import Discs, draw_nearby
from hiexp.datasets.mock.receiver import Receiver
from hiexp.datasets.mock.survey import draw_alfalfa
from hiexp.kinds import Count, Fraction, NotNegative, Positive, Seed
from hiexp.spectra import Spectra, computed


@computed
def mock_cig(
    n_galaxies: Count = 318,
    seed: Seed = 1,
    balance: bool = False,
    n_channels: Annotated[int, Ge(3)] = 1024,
    channel_khz: Positive = CHANNEL_KHZ,
    rms: Positive = 2.0,
    snr_min: NotNegative = 10.0,
    rotation: Literal["polyex", "arctan"] = "polyex",
    lopsidedness: Fraction = 0.3,
    rotation_lopsidedness: Fraction = 0.06,
    companion_fraction: Fraction = 0.0,
    ripple: NotNegative = 0.0,
    rfi: NotNegative = 0.0,
) -> Spectra:
    """Draw a sample like AMIGA's isolated galaxies: nearby, well detected, in three asymmetry classes.

    Classes follow the A_flux of the noise-free profile, split at 1.26 and 1.39: 0 symmetric, 1 slightly, 2 strongly
    asymmetric (Espada et al. 2011). The default lopsidedness is wider than that of truly isolated galaxies, so that
    each class has members enough to learn from. ``docs/mock.md`` has the model's equations.

    Parameters
    ----------
    n_galaxies : int
        Sample size N.
    seed : int
        Seed of the sample.
    balance : bool
        Whether to draw on until every class has a third of the sample.
    n_channels : int
        Channels a spectrum, L.
    channel_khz : float
        Width of a channel, kHz: 24.4 are 5.15 km/s at rest.
    rms : float
        Noise of one channel after Hanning smoothing, mJy.
    snr_min : float
        S/N of the faintest galaxy, as expected from its rotation.
    rotation : str
        Rotation curve: polyex or arctan.
    lopsidedness : float
        Scale of the half-normal m = 1 amplitude of the surface density.
    rotation_lopsidedness : float
        Standard deviation of the share by which one side turns faster and the other slower.
    companion_fraction : float
        Share of the galaxies with a companion that adds to one horn.
    ripple : float
        Typical amplitude of each of two standing waves in the baseline, in rms.
    rfi : float
        Mean number of interference spikes a spectrum. They are left in the flux and not masked, as in a spectrum
        that nobody has cleaned; the catalogue's ``n_rfi`` counts them.

    Returns
    -------
    Spectra
        With the truth of each object in its catalogue: RAJ2000, DEJ2000, Vhel, Dist, W50, W20, HIflux, logMHI, SNR,
        rms, HI (code) in the units of VizieR J/ApJ/861/49, and the disc: A_flux, Vrot, inclination, lopsidedness ...

    Raises
    ------
    InputError
        If there is no such rotation curve, a number is out of its range, or hardly a galaxy would be detected.
    """
    for_discs, for_bands, for_noise = streams(seed)
    receiver = Receiver(n_channels, channel_khz, ripple, rfi)
    discs = Discs(
        speed=130.0,
        speed_slope=0.28,
        speed_scatter=0.08,
        least_inclination=20.0,
        lopsidedness=lopsidedness,
        rotation_lopsidedness=rotation_lopsidedness,
        companion_fraction=companion_fraction,
    )

    def draw(n: int) -> Galaxies:
        return integrate(draw_nearby(for_discs, n, discs, rms, snr_min), for_bands, n_channels, channel_khz, rotation)

    sky = draw_balanced(draw, n_galaxies) if balance else draw(n_galaxies)
    ids = np.array([f"M{number:04d}" for number in range(1, n_galaxies + 1)])
    return receiver.observe(sky, ids, for_noise, np.float64)


@computed
def mock_alfalfa(
    n_galaxies: Count = 31502,
    seed: Seed = 1,
    n_channels: Annotated[int, Ge(3)] = 1024,
    channel_khz: Positive = CHANNEL_KHZ,
    rotation: Literal["polyex", "arctan"] = "polyex",
    lopsidedness: Fraction = 0.25,
    rotation_lopsidedness: Fraction = 0.05,
    companion_fraction: Fraction = 0.1,
    ripple: NotNegative = 0.2,
    rfi: NotNegative = 0.0,
) -> Spectra:
    """Draw a sample like the ALFALFA catalogue: what a blind survey detects of galaxies spread through space.

    Velocities, widths, fluxes, S/N, distances and masses are distributed together as in the alpha.100 catalogue of
    Haynes et al. (2018), most of them near the limit of detection. ``docs/mock.md`` has the equations and the
    comparison. W50 is that catalogue's, between the points at half of the horn of either side. Flux is float32; the
    31,502 spectra of the whole survey take 0.45 GB.

    Parameters
    ----------
    n_galaxies, seed, n_channels, channel_khz, rotation, lopsidedness, rotation_lopsidedness, companion_fraction,
    ripple, rfi
        As in `mock_cig`.

    Returns
    -------
    Spectra
        As of `mock_cig`. The ids continue the AGC numbers, from 800001 on.

    Raises
    ------
    InputError
        If there is no such rotation curve, a number is out of its range, or hardly a galaxy would be detected.
    """
    for_discs, for_bands, for_noise = streams(seed)
    receiver = Receiver(n_channels, channel_khz, ripple, rfi)
    discs = Discs(
        speed=125.0,
        speed_slope=0.35,
        speed_scatter=0.138,
        least_inclination=8.0,
        lopsidedness=lopsidedness,
        rotation_lopsidedness=rotation_lopsidedness,
        companion_fraction=companion_fraction,
    )
    truth = draw_alfalfa(for_discs, n_galaxies, discs)
    sky = integrate(truth, for_bands, n_channels, channel_khz, rotation, horns=True)
    ids = np.array([str(800000 + number) for number in range(1, n_galaxies + 1)])
    return receiver.observe(sky, ids, for_noise, np.float32)


def streams(seed: int) -> list[np.random.Generator]:
    """Return generators of their own for discs, bands and noise, so that none shifts with another's settings."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]
