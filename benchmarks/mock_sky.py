"""Spectra a second of the model sky, against a loop over galaxies: ``python benchmarks/mock_sky.py [n]``.

Both draw the noise of 1,024 channels and the noise-free lines of the same galaxies of `mock_alfalfa` with the same
cells, and both measure W50, W20 and A_flux. The baseline is the plain way: one galaxy at a time, a histogram of its
cells, and an error function for each filled bin and channel. It is run on the first 200 galaxies and extrapolated.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from history import record
from scipy.special import erf

from hiexp.datasets import mock_alfalfa
from hiexp.datasets.mock.channels import CHANNEL_KHZ, channel_velocities
from hiexp.datasets.mock.discs import OUTERMOST, rotation_curve, surface_density
from hiexp.datasets.mock.noise import smoothed_noise
from hiexp.datasets.mock.profiles import N_AZIMUTHS, N_RADII
from hiexp.datasets.mock.smoothing import HANNING
from hiexp.spectral.widths import edges, flux_asymmetry

SURVEY = 31502
FEW = 200
N_CHANNELS = 1024


def loop(catalogue, centres: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Compute spectra and A_flux of the galaxies one at a time; `centres` are those of their bands, km/s."""
    node, importance = np.polynomial.legendre.leggauss(N_RADII)
    root = (node + 1) / 2
    radius = OUTERMOST * root**2
    cosine = np.cos((np.arange(N_AZIMUTHS) + 0.5) / N_AZIMUTHS * np.pi)
    curve = rotation_curve("polyex")
    lines, asymmetry = [], []
    for galaxy, centre in zip(catalogue.itertuples(), centres, strict=True):
        turnover, slope, depression = (np.array([x]) for x in (galaxy.turnover, galaxy.slope, galaxy.depression))
        speed = galaxy.Vrot * np.sin(np.radians(galaxy.inclination)) * curve(radius, turnover, slope)[0]
        shift = speed[:, None] * cosine * (1 + galaxy.rotation_lopsidedness * cosine)
        mode = galaxy.lopsidedness * np.cos(np.radians(galaxy.lopsidedness_azimuth))
        weight = (surface_density(radius, depression)[0] * radius * root * importance)[:, None] * (1 + mode * cosine)
        weight *= (1 - galaxy.companion) / weight.sum()
        # As fine as the grid of the batched way: a quarter of a channel.
        bins = np.arange(shift.min() - 2, shift.max() + 2, 5.3 / 4)
        amount, _ = np.histogram(shift, bins=bins, weights=weight)
        offset = np.arange(-1, N_CHANNELS + 2) - N_CHANNELS / 2
        bound = channel_velocities(np.array([centre]), offset, CHANNEL_KHZ)[0]
        from_systemic = bound - galaxy.Vhel
        middle = ((bins[1:] + bins[:-1]) / 2)[amount > 0, None]
        below = erf((from_systemic - middle) / (np.sqrt(2) * galaxy.dispersion)) / 2
        total = amount[amount > 0] @ below
        if galaxy.companion:
            away = (from_systemic - galaxy.companion_velocity) / (np.sqrt(2) * galaxy.companion_dispersion)
            total += galaxy.companion * erf(away) / 2
        line = np.convolve(1000 * galaxy.HIflux * np.diff(total) / np.diff(bound), HANNING, "valid")[None]
        velocity = (bound[None, 1:-2] + bound[None, 2:-1]) / 2
        edges(velocity, line, 0.5)
        edges(velocity, line, 0.2)
        asymmetry.append(flux_asymmetry(velocity, line)[0])
        lines.append((line + smoothed_noise(rng, np.array([galaxy.rms]), N_CHANNELS))[0])
    return np.array(lines), np.array(asymmetry)


def main(n: int) -> None:
    """Time both and print the ratio."""
    mock_alfalfa(100)  # imports and caches
    start = time.perf_counter()
    sky = mock_alfalfa(n, ripple=0.0)
    batched = n / (time.perf_counter() - start)

    few = slice(0, min(FEW, n))
    catalogue = sky.catalogue.iloc[few]
    middle = (sky.velocity[few, N_CHANNELS // 2 - 1] + sky.velocity[few, N_CHANNELS // 2]) / 2
    start = time.perf_counter()
    _, asymmetry = loop(catalogue, middle, np.random.default_rng(0))
    looped = len(catalogue) / (time.perf_counter() - start)

    difference = np.abs(asymmetry / catalogue["A_flux"] - 1)
    for name, count, rate in (("batched", n, batched), ("loop", len(catalogue), looped)):
        extrapolated = "" if count == SURVEY else ", extrapolated"
        print(
            f"{name + f', {count} spectra':30}{rate:9.0f} spectra/s {SURVEY / rate:7.1f} s for {SURVEY}{extrapolated}"
        )
    print(f"{'ratio':30}{batched / looped:9.1f}")
    record(f"{n} spectra", batched / looped, seconds=n / batched)
    print(f"{'A_flux of the two differs by':30}{difference.median():9.1e} (median), {difference.max():.1e} (most)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SURVEY)
