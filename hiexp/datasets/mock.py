"""Model HI profiles: what a radio telescope sees of rotating, lopsided gas discs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import erf

from hiexp.fitting.widths import edges, flux_asymmetry
from hiexp.spectra import Spectra

HUBBLE = 70.0  # km/s/Mpc
MASS_PER_FLUX = 2.356e5  # M_sun per Mpc^2 Jy km/s, optically thin HI
CLASS_LIMITS = (1.26, 1.39)  # A_flux: 2 and 3 sigma of isolated galaxies, Espada et al. 2011, A&A 532, A117
N_RADII, N_AZIMUTHS = 32, 96


def mock_cig(
    n_galaxies: int = 318,
    seed: int = 1,
    n_channels: int = 1024,
    channel_width: float = 5.3,
    rms: float = 2.0,
    snr_min: float = 10.0,
    lopsidedness: float = 0.3,
) -> Spectra:
    """Draw a sample like AMIGA's isolated galaxies: nearby, well detected, in three asymmetry classes.

    Each galaxy is a thin disc with an arctan rotation curve, an exponential gas disc with a central depression,
    a gas dispersion of 7-12 km/s and an isotropic inclination, lopsided (m = 1) in its surface density and with
    unlike rotation on its two sides. Classes follow the A_flux of the noise-free profile, split at 1.26 and
    1.39: 0 symmetric, 1 slightly, 2 strongly asymmetric (Espada et al. 2011). The default lopsidedness is wider
    than that of truly isolated galaxies, so that each class has members enough to learn from.

    Parameters
    ----------
    n_galaxies : int
        Sample size N.
    seed : int
        Of the sample.
    n_channels : int
        Channels a spectrum, L.
    channel_width : float
        km/s.
    rms : float
        Noise of one channel after Hanning smoothing, mJy.
    snr_min : float
        Integrated signal-to-noise ratio of the faintest galaxy.
    lopsidedness : float
        Scale of the half-normal m = 1 amplitude of the surface density.

    Returns
    -------
    Spectra
        With the truth of each object in its catalogue: Vhel, Dist, W50, W20, HIflux, logMHI, SNR, rms in the
        units of VizieR J/ApJ/861/49, and A_flux, inclination (degrees), Vmax (km/s), lopsidedness.
    """
    rng = np.random.default_rng(seed)
    disc = _draw_discs(rng, n_galaxies, rms, snr_min, channel_width, lopsidedness)
    offset = (np.arange(n_channels) - (n_channels - 1) / 2) * channel_width
    # The band is centred near the galaxy, not on it.
    centre = disc["Vhel"].to_numpy() + rng.uniform(-0.2, 0.2, n_galaxies) * n_channels * channel_width
    velocity = centre[:, None] + offset
    profile = _line_profiles(velocity, disc)

    low50, high50 = edges(velocity, profile, 0.5)
    low20, high20 = edges(velocity, profile, 0.2)
    disc["W50"], disc["W20"] = high50 - low50, high20 - low20
    disc["SNR"] = _signal_to_noise(disc["HIflux"], disc["W50"], rms, channel_width)
    disc["rms"] = rms
    disc["A_flux"] = flux_asymmetry(velocity, profile)

    ids = np.array([f"M{number:04d}" for number in range(1, n_galaxies + 1)])
    return Spectra(
        ids=ids,
        velocity=velocity,
        flux=profile + _hanning_noise(rng, profile.shape, rms),
        rms=np.full(n_galaxies, rms),
        valid=np.ones(profile.shape, dtype=bool),
        catalogue=disc.set_index(pd.Index(ids, name="id")),
        systemic=disc["Vhel"].to_numpy(),
        reference=np.searchsorted(CLASS_LIMITS, disc["A_flux"].to_numpy(), side="left"),
    )


def _draw_discs(
    rng: np.random.Generator, n: int, rms: float, snr_min: float, channel_width: float, lopsidedness: float
) -> pd.DataFrame:
    """Draw the physical parameters of `n` discs, detections above `snr_min` only."""
    kept: list[pd.DataFrame] = []
    while sum(map(len, kept)) < n:
        size = 2 * n
        log_mass = rng.normal(9.6, 0.35, size)
        v_max = 130 * 10 ** (0.28 * (log_mass - 9.6) + rng.normal(0, 0.08, size))
        inclination = np.arccos(rng.uniform(0, np.cos(np.radians(20)), size))
        distance = rng.gamma(4.0, 18.0, size) + 15
        flux = 10**log_mass / (MASS_PER_FLUX * distance**2)
        draw = pd.DataFrame(
            {
                "Vhel": HUBBLE * distance + rng.normal(0, 200, size),
                "Dist": distance,
                "HIflux": flux,
                "logMHI": log_mass,
                "Vmax": v_max,
                "inclination": np.degrees(inclination),
                "dispersion": rng.uniform(7, 12, size),
                "turnover": rng.uniform(0.05, 0.35, size),
                "depression": rng.uniform(0.0, 0.9, size),
                # Only the part of the m = 1 mode along the major axis tells the two sides of the line apart.
                "lopsidedness": np.minimum(np.abs(rng.normal(0, lopsidedness, size)), 0.9)
                * np.cos(rng.uniform(0, 2 * np.pi, size)),
                "rotation_lopsidedness": rng.normal(0, 0.06, size),
            }
        )
        width = 2 * v_max * np.sin(inclination) + 20
        kept.append(draw[_signal_to_noise(draw["HIflux"], width, rms, channel_width) >= snr_min])
    return pd.concat(kept, ignore_index=True).iloc[:n].copy()


def _signal_to_noise(flux: pd.Series, width: pd.Series, rms: float, channel_width: float) -> pd.Series:
    """Integrated flux (Jy km/s) over the noise of a box of the line's width (km/s)."""
    return 1000 * flux / (rms * np.sqrt(width * channel_width))


def _line_profiles(velocity: np.ndarray, disc: pd.DataFrame) -> np.ndarray:
    """Integrate the discs over radius and azimuth into noise-free spectra, shape (N, L), mJy.

    The surface density is exp(-r / h) (1 - d exp(-4 (r / h)^2)) (1 + e cos(azimuth)), r in disc radii, h = 0.3;
    the rotation curve V (2 / pi) atan(r / t) (1 + q cos(azimuth)). Both terms of odd azimuth are even about the
    major axis, so half of each ring is enough.
    """
    radius = (np.arange(N_RADII) + 0.5) / N_RADII * 1.4
    cosine = np.cos((np.arange(N_AZIMUTHS) + 0.5) / N_AZIMUTHS * np.pi)
    bound = np.concatenate([velocity[:, :1], velocity[:, 1:], 2 * velocity[:, -1:] - velocity[:, -2:-1]], axis=1)
    bound -= (velocity[0, 1] - velocity[0, 0]) / 2
    profile = np.empty(velocity.shape)
    for row, galaxy in enumerate(disc.itertuples(index=False)):
        scaled = radius / 0.3
        density = np.exp(-scaled) * (1 - galaxy.depression * np.exp(-4 * scaled**2)) * radius
        weight = density[:, None] * (1 + galaxy.lopsidedness * cosine)
        rotation = galaxy.Vmax * (2 / np.pi) * np.arctan(radius / galaxy.turnover)
        projected = rotation * np.sin(np.radians(galaxy.inclination))
        shift = projected[:, None] * cosine * (1 + galaxy.rotation_lopsidedness * cosine)
        profile[row] = _broaden(bound[row], galaxy.Vhel + shift.ravel(), weight.ravel(), galaxy.dispersion)
        profile[row] *= 1000 * galaxy.HIflux / (profile[row] * np.diff(bound[row])).sum()
    return profile


def _broaden(bound: np.ndarray, centre: np.ndarray, weight: np.ndarray, dispersion: float) -> np.ndarray:
    """Return the mean density in each channel of many Gaussians of one dispersion."""
    # A histogram four times finer than a channel first: thousands of clouds become a few hundred Gaussians.
    fine = np.linspace(centre.min() - 1, centre.max() + 1, 8 + int(4 * np.ptp(centre) / (bound[1] - bound[0])))
    amount, _ = np.histogram(centre, bins=fine, weights=weight)
    middle = (fine[1:] + fine[:-1]) / 2
    cumulative = 0.5 * (1 + erf((bound[None, :] - middle[:, None]) / (np.sqrt(2) * dispersion)))
    return amount @ np.diff(cumulative, axis=1) / np.diff(bound)


def _hanning_noise(rng: np.random.Generator, shape: tuple[int, int], rms: float) -> np.ndarray:
    """White noise smoothed over three channels (1/4, 1/2, 1/4), scaled to the given rms, mJy."""
    white = rng.normal(size=(shape[0], shape[1] + 2))
    smooth = 0.25 * white[:, :-2] + 0.5 * white[:, 1:-1] + 0.25 * white[:, 2:]
    return rms * smooth / np.sqrt(0.25**2 + 0.5**2 + 0.25**2)
