"""Fits of many spectra at once against one library call a spectrum.

    python benchmarks/fitting.py [number of spectra] [device]

Model spectra of 1,024 channels from `mock_alfalfa`. Baselines, timed in the same run on the first spectra of the sample:

- the Busy Function by `scipy.optimize.least_squares`, on the whole of each spectrum, from the same start;
- the study's loop (Jaimes-Illanes et al. 2025): `numpy.polyfit` of degree 15 on the spectrum and on the +-100 channels
  around its peak, `scipy.optimize.curve_fit` of a Gaussian, a Lorentzian and a double Lorentzian on these.

Times a spectrum are medians of three rounds in which ours and the baseline take turns, since the machine may be shared.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy.optimize import curve_fit, least_squares
from scipy.special import erf

from hiexp.datasets import mock_alfalfa
from hiexp.fitting import FitResult
from hiexp.spectra import Spectra

CONFIGS = Path(__file__).parents[1] / "conf"
ROUNDS = 3
SAMPLE = 2048  # spectra of ours a round
BASELINE = 100  # spectra of the baselines a round
STUDY = ("polynomial", "gaussian", "lorentzian", "double_lorentzian")


def configured(fit: str, *overrides: str, device: str = "cpu") -> Callable[[Spectra], FitResult]:
    """Return a fit as conf/fit/ has it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", [f"fit={fit}", f"device={device}", *overrides])
    return instantiate(cfg.fit, _convert_="all")


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def busy(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the Busy Function (Westmeier et al. 2014)."""
    a, b1, b2, c, xe, xp, w, n = p
    return a / 4 * (erf(b1 * (w + x - xe)) + 1) * (erf(b2 * (w - x + xe)) + 1) * (c * np.abs(x - xp) ** n + 1)


def busy_by_scipy(spectra: Spectra) -> np.ndarray:
    """Fit each spectrum by itself, in channels, from the catalogue's velocity, width and flux; return chi2."""
    chi2 = []
    x = np.arange(spectra.flux.shape[1], dtype=float)
    for i in range(len(spectra)):
        truth, channel = spectra.catalogue.iloc[i], np.diff(spectra.velocity[i]).mean()
        width = max(truth["W50"] / channel, 2)
        start = [1000 * truth["HIflux"] / channel / width, 0.3, 0.3, 1e-3, 0, 0, width / 2, 2]
        start[4] = start[5] = np.interp(truth["Vhel"], spectra.velocity[i], x)
        low, high = [0, 1e-3, 1e-3, 0, 0, 0, 0.1, 0], [np.inf, 3, 3, np.inf, x[-1], x[-1], x[-1] / 2, 8]
        flux, rms = spectra.flux[i].astype(float), spectra.rms[i]
        fit = least_squares(
            lambda p: (busy(p, x) - flux) / rms, start, bounds=(low, high), x_scale="jac", max_nfev=100
        )  # noqa: B023
        chi2.append(2 * fit.cost)
    return np.array(chi2)


def study_loop(spectra: Spectra) -> np.ndarray:
    """Fit each spectrum as the study did; return which of the three curve fits of each failed, shape (N, 3)."""

    def gaussian(x: np.ndarray, p: float, c: float, w: float) -> np.ndarray:
        return p * np.exp(-((x - c) ** 2) / (2 * w**2))

    def lorentzian(x: np.ndarray, p: float, c: float, w: float) -> np.ndarray:
        return p / np.pi * w / ((x - c) ** 2 + w**2)

    def double(x: np.ndarray, p: float, c: float, w: float, q: float, d: float, u: float) -> np.ndarray:
        return lorentzian(x, p, c, w) + lorentzian(x, q, d, u)

    failed = np.zeros((len(spectra), 3), dtype=bool)
    channel = np.arange(spectra.flux.shape[1], dtype=float)
    tenth = channel.size // 10
    for i, flux in enumerate(spectra.flux.astype(float)):
        smooth = np.polyval(np.polyfit(channel, flux, 15), channel)
        peak = tenth + int(smooth[tenth:-tenth].argmax())
        crop = slice(max(peak - 100, 0), peak + 101)
        x, y = channel[crop], flux[crop]
        smooth = np.polyval(np.polyfit(x, y, 15), x)
        first, second = np.argsort(smooth)[[-1, -2]]
        top = smooth[first]
        starts = (
            (gaussian, [top, x[first], 10]),
            (lorentzian, [top * np.pi * 10, x[first], 10]),
            (double, [top * np.pi * 10, x[first], 10, smooth[second] * np.pi * 10, x[second], 10]),
        )
        for j, (curve, start) in enumerate(starts):
            try:
                curve_fit(curve, x, y, p0=start)
            except RuntimeError:
                failed[i, j] = True
    return failed
