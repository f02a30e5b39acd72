"""The model samples: a population, its profiles, and what a telescope adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hiexp.datasets.mock.channels import CHANNEL_KHZ, channel_velocities
from hiexp.datasets.mock.noise import (
    add_spikes,
    draw_interference,
    draw_standing_waves,
    hanning_noise,
    standing_waves,
)
from hiexp.datasets.mock.populations import Discs, draw_alfalfa, draw_nearby, signal_to_noise
from hiexp.datasets.mock.profiles import line_profiles, window_length
from hiexp.errors import InputError
from hiexp.fitting.widths import edges, flux_asymmetry
from hiexp.spectra import Spectra

CLASS_LIMITS = (1.26, 1.39)  # A_flux: 2 and 3 sigma of isolated galaxies, Espada et al. 2011, A&A 532, A117
RELIABLE = 6.5  # S/N of the catalogue's code 1
BATCH = 256  # spectra worked on at a time, which bounds the memory: their disc cells take 6 MB an array
OFF_CENTRE = 0.2  # of the band: how far from its middle a galaxy may be


@dataclass(frozen=True)
class _Sky:
    """Galaxies without noise.

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

    def take(self, rows: np.ndarray) -> _Sky:
        return _Sky(self.truth.iloc[rows], self.centre[rows], self.first[rows], self.line[rows])

    def joined(self, other: _Sky) -> _Sky:
        return _Sky(
            pd.concat([self.truth, other.truth], ignore_index=True),
            np.concatenate([self.centre, other.centre]),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.line, other.line]),
        )


@dataclass(frozen=True)
class _Receiver:
    """What the telescope adds: the keys of a dataset's configuration, with their names."""

    n_channels: int
    channel_khz: float
    ripple: float
    rfi: float

    def __post_init__(self) -> None:
        for name, least in (("n_channels", 3), ("channel_khz", 1.0), ("ripple", 0.0), ("rfi", 0.0)):
            if getattr(self, name) < least:
                raise InputError(f"dataset.{name}={getattr(self, name)}: must be at least {least:g}")


def mock_cig(
    n_galaxies: int = 318,
    seed: int = 1,
    balanced: bool = False,
    n_channels: int = 1024,
    channel_khz: float = CHANNEL_KHZ,
    rms: float = 2.0,
    snr_min: float = 10.0,
    rotation: str = "polyex",
    lopsidedness: float = 0.3,
    rotation_lopsidedness: float = 0.06,
    companion_fraction: float = 0.0,
    ripple: float = 0.0,
    rfi: float = 0.0,
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
        Of the sample.
    balanced : bool
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
    for_discs, for_bands, for_noise = _streams(seed)
    receiver = _Receiver(n_channels, channel_khz, ripple, rfi)
    discs = Discs(130.0, 0.28, 0.08, 20.0, lopsidedness, rotation_lopsidedness, companion_fraction)

    def draw(n: int) -> _Sky:
        return _integrate(draw_nearby(for_discs, n, discs, rms, snr_min), for_bands, receiver, rotation)

    sky = _balance(draw, n_galaxies) if balanced else draw(n_galaxies)
    ids = np.array([f"M{number:04d}" for number in range(1, n_galaxies + 1)])
    return _observe(sky, ids, for_noise, receiver, np.float64)


def mock_alfalfa(
    n_galaxies: int = 31502,
    seed: int = 1,
    n_channels: int = 1024,
    channel_khz: float = CHANNEL_KHZ,
    rotation: str = "polyex",
    lopsidedness: float = 0.25,
    rotation_lopsidedness: float = 0.05,
    companion_fraction: float = 0.1,
    ripple: float = 0.2,
    rfi: float = 0.0,
) -> Spectra:
    """Draw a sample like the ALFALFA catalogue: what a blind survey detects of galaxies spread through space.

    Masses, distances, widths, fluxes and S/N agree in their medians with the alpha.100 catalogue of Haynes et al.
    (2018), most of them near the limit of detection. ``docs/mock.md`` has the equations and the comparison. Flux is
    float32; the 31,502 spectra of the whole survey take 0.45 GB.

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
    for_discs, for_bands, for_noise = _streams(seed)
    receiver = _Receiver(n_channels, channel_khz, ripple, rfi)
    discs = Discs(134.0, 0.25, 0.10, 0.0, lopsidedness, rotation_lopsidedness, companion_fraction)
    sky = _integrate(draw_alfalfa(for_discs, n_galaxies, discs), for_bands, receiver, rotation)
    ids = np.array([str(800000 + number) for number in range(1, n_galaxies + 1)])
    return _observe(sky, ids, for_noise, receiver, np.float32)


def _streams(seed: int) -> list[np.random.Generator]:
    """Return generators of their own for discs, bands and noise, so that none shifts with another's settings."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)]


def _integrate(truth: pd.DataFrame, rng: np.random.Generator, receiver: _Receiver, rotation: str) -> _Sky:
    """Compute the lines of these galaxies and what follows from them: widths, A_flux, S/N."""
    n = len(truth)
    systemic = truth["Vhel"].to_numpy()
    off = rng.uniform(-OFF_CENTRE, OFF_CENTRE, n) * receiver.n_channels
    window = window_length(receiver.channel_khz)
    centre = channel_velocities(systemic, off[:, None], receiver.channel_khz)[:, 0]
    middle = (receiver.n_channels - 1) / 2
    first = np.floor(middle - off).astype(int) - window // 2
    line = np.empty((n, window), dtype=np.float32)
    measured = np.empty((n, 3))
    for start in range(0, n, BATCH):
        rows = slice(start, start + BATCH)
        offset = first[rows, None] + np.arange(window) - middle
        velocity = channel_velocities(centre[rows], offset, receiver.channel_khz)
        profile = line_profiles(truth.iloc[rows], velocity, receiver.channel_khz, rotation)
        low50, high50 = edges(velocity, profile, 0.5)
        low20, high20 = edges(velocity, profile, 0.2)
        measured[rows] = np.column_stack([high50 - low50, high20 - low20, flux_asymmetry(velocity, profile)])
        line[rows] = profile
    truth = truth.assign(W50=measured[:, 0], W20=measured[:, 1], A_flux=measured[:, 2])
    snr = signal_to_noise(truth["HIflux"], truth["W50"], truth["rms"])
    return _Sky(truth.assign(SNR=snr, HI=np.where(snr >= RELIABLE, 1, 2)), centre, first, line)


def _classes(truth: pd.DataFrame) -> np.ndarray:
    return np.searchsorted(CLASS_LIMITS, truth["A_flux"].to_numpy(), side="left")


def _balance(draw: Callable[[int], _Sky], n: int) -> _Sky:
    """Draw until every class has its share of `n`, and keep the first of each in the order they came."""
    n_classes = len(CLASS_LIMITS) + 1
    wanted = np.array([len(range(name, n, n_classes)) for name in range(n_classes)])
    sky = draw(n)
    while np.any(np.bincount(_classes(sky.truth), minlength=n_classes) < wanted):
        sky = sky.joined(draw(n))
    classes = _classes(sky.truth)
    kept = [np.flatnonzero(classes == name)[:count] for name, count in enumerate(wanted)]
    return sky.take(np.sort(np.concatenate(kept)))


def _observe(
    sky: _Sky, ids: np.ndarray, rng: np.random.Generator, receiver: _Receiver, dtype: type[np.floating]
) -> Spectra:
    """Put the lines in their bands and add what the telescope adds."""
    n, length = len(ids), receiver.n_channels
    rms = sky.truth["rms"].to_numpy()
    waves = draw_standing_waves(rng, receiver.ripple * rms)
    row, channel, height = draw_interference(rng, rms, receiver.rfi, length)
    velocity, flux = np.empty((n, length)), np.empty((n, length), dtype=dtype)
    offset = np.arange(length) - (length - 1) / 2
    for start in range(0, n, BATCH):
        rows = slice(start, start + BATCH)
        velocity[rows] = channel_velocities(sky.centre[rows], offset, receiver.channel_khz)
        flux[rows] = hanning_noise(rng, rms[rows], length)
        if receiver.ripple:
            flux[rows] += standing_waves(waves[rows], length, receiver.channel_khz)
        column = sky.first[rows, None] + np.arange(sky.line.shape[1])
        inside = (column >= 0) & (column < length)
        line, _ = np.nonzero(inside)
        flux[start + line, column[inside]] += sky.line[rows][inside]
    add_spikes(flux, row, channel, height)
    catalogue = sky.truth.assign(n_rfi=np.bincount(row, minlength=n))
    return Spectra(
        ids=ids,
        velocity=velocity,
        flux=flux,
        rms=rms,
        valid=np.ones((n, length), dtype=bool),
        catalogue=catalogue.set_index(pd.Index(ids, name="id")),
        systemic=sky.truth["Vhel"].to_numpy(),
        reference=_classes(sky.truth),
    )
