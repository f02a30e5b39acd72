"""Spectra with lines that the tests know all about, and the fits as the configuration has them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from hydra.utils import instantiate
from scipy.special import erf

from helpers.configuration import composed
from hiexp.fitting import FitResult
from hiexp.spectra import Spectra
from hiexp.spectral.widths import edges, flux_asymmetry

AXIS = np.linspace(-600, 600, 241)
MODELS = ("busy", "double_lorentzian", "gaussian", "lorentzian", "polynomial")
MEASURED = ["position", "w50", "w20", "flux_peak", "flux_int", "A_flux"]


def configured(fit: str, *overrides: str) -> Callable[[Spectra], FitResult]:
    """Return a fit as ``conf/fit`` has it."""
    cfg = composed(f"fit={fit}", *(f"fit.{override}" for override in overrides), command="fit")
    return instantiate(cfg.fit, _convert_="all")


def make_spectra(flux, rms=1.0, velocity=AXIS, valid=None, systemic=np.nan):
    flux = np.atleast_2d(flux)
    n = len(flux)
    return Spectra(
        ids=np.array([str(i) for i in range(n)]),
        velocity=np.array(np.broadcast_to(velocity, flux.shape)),
        flux=flux,
        rms=np.array(np.broadcast_to(rms, n), dtype=float),
        valid=np.ones(flux.shape, bool) if valid is None else np.array(np.broadcast_to(valid, flux.shape)),
        catalogue=pd.DataFrame(index=range(n)),
        systemic=np.array(np.broadcast_to(systemic, n), dtype=float),
    )


def noise(seed=0, rms=1.0, shape=AXIS.size):
    return np.random.default_rng(seed).normal(0, rms, shape)


def smoothed_noise(seed, shape, rms=1.0):
    """Noise after Hanning smoothing: neighbouring channels share two thirds of it."""
    white = np.random.default_rng(seed).normal(0, rms / np.sqrt(0.375), (shape[0], shape[1] + 2))
    return 0.25 * white[:, :-2] + 0.5 * white[:, 1:-1] + 0.25 * white[:, 2:]


def gaussian(velocity, peak, centre, sigma):
    return peak * np.exp(-0.5 * ((velocity - centre) / sigma) ** 2)


def lorentzian(velocity, area, centre, gamma):
    return area / np.pi * gamma / ((velocity - centre) ** 2 + gamma**2)


def busy(velocity, a, b1, b2, c, xe, xp, w, n):
    """Westmeier et al. 2014, MNRAS 438, 1176, equation 4, written out again."""
    left, right = erf(b1 * (w + velocity - xe)) + 1, erf(b2 * (w - velocity + xe)) + 1
    return a / 4 * left * right * (c * np.abs(velocity - xp) ** n + 1)


def draw_busy(n, seed):
    """Return eight parameters of lines like those of galaxies, shape (8, N, 1)."""
    rng = np.random.default_rng(seed)
    w, b, a = rng.uniform(30, 220, n), rng.uniform(0.03, 0.1, (2, n)), rng.uniform(6, 40, n)
    xe, exponent = rng.uniform(-200, 200, n), rng.uniform(2, 4, n)
    c, xp = rng.uniform(0, 1.5, n) * w**-exponent, xe + rng.uniform(-0.3, 0.3, n) * w
    return np.stack([a, *b, c, xe, xp, w, exponent])[:, :, None]


def truth(profile, low, high):
    """Measure noise-free curves, functions of velocity (N, M), between `low` and `high` on a fine grid."""
    velocity = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, 8001)
    values = profile(velocity)
    flux = np.trapezoid(values, velocity)
    width = {level: np.subtract(*edges(velocity, values, level)[::-1]) for level in (0.5, 0.2)}
    return pd.DataFrame(
        {
            "position": np.trapezoid(values * velocity, velocity) / flux,
            "w50": width[0.5],
            "w20": width[0.2],
            "flux_peak": values.max(1),
            "flux_int": flux / 1000,
            "A_flux": flux_asymmetry(velocity, values),
        },
        index=[str(i) for i in range(len(values))],
    )


def busy_truth(parameters):
    xe, w, b = parameters[4, :, 0], parameters[6, :, 0], parameters[1:3, :, 0].min(0)
    return truth(lambda velocity: busy(velocity, *parameters), xe - w - 3 / b, xe + w + 3 / b)
