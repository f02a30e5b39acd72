"""What of a line its intrinsic asymmetry is inferred from: the fit with its errors, and the data beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hiexp.features.asymmetry import NAMES, ProfileAsymmetry
from hiexp.fitting import FitResult
from hiexp.spectra import Spectra, without_nan
from hiexp.spectral.widths import edges

BINS = 16  # of the line
REACH = 0.65  # of W20, on either side of the line's middle
BLOCK = 1024  # lines worked on at a time, which bounds the memory
LEAST = 1e-4  # of what a logarithm is taken of
ERRORS = {"A_flux": "A_flux", "w50": "w50", "w20": "w20", "flux_int": "flux_int", "position": "w50"}
"""Columns whose errors count, and what these are compared with."""
SIGNED = ("centroid_offset",)  # changes its sign when the line is mirrored
RATIOS = ("A_flux", "peak_ratio", "W20_W50", "A_F", "A_C", "C_V")

LINE_INPUTS = (
    *("log_snr", "log_w50", "log_channels", "w20_w50", "w80_w20", "log_peak", "log_chi2"),
    *("horns", "log_trough", "noise_correlation"),
    *(f"log_{name}_err" for name in ERRORS),
    *NAMES,
    *(f"data_{number}" for number in range(BINS)),
    *(f"curve_{number}" for number in range(BINS)),
    *("log_bin_noise", "log_data_asymmetry", "log_half_noise"),
)
"""Names of the numbers, in their order."""


def line_inputs(spectra: Spectra, fit: FitResult) -> np.ndarray:
    """Return numbers that tell of a line's asymmetry and of how well it is known.

    They are S/N, widths, errors and quality of the fit; the nine measures of `ProfileAsymmetry` on its curve; and the
    flux of data and curve in 16 bins across the line, in units of the mean, with its noise. Of a line and its mirror
    image they are the same: the side with more flux comes last.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    fit : FitResult
        Their fits.

    Returns
    -------
    ndarray of float32, shape (N, len(LINE_INPUTS))
        NaN throughout where there is no fit; 0 for what a fit does not measure.
    """
    inputs = np.full((len(spectra), len(LINE_INPUTS)), np.nan, dtype=np.float32)
    rows = np.flatnonzero(fit.good & np.isfinite(fit.table["w20"].to_numpy(float)))
    for start in range(0, len(rows), BLOCK):
        block = np.zeros(len(spectra), dtype=bool)
        block[rows[start : start + BLOCK]] = True
        inputs[block] = _of_block(
            without_nan(spectra.take(block)), fit.table[block], fit.profiles[block], fit.windows[block]
        )
    return inputs


def _of_block(spectra: Spectra, table: pd.DataFrame, profiles: np.ndarray, windows: np.ndarray) -> np.ndarray:
    profiles = profiles.astype(float)
    axis = windows[:, :1] + (windows[:, 1:] - windows[:, :1]) * np.linspace(0, 1, profiles.shape[1])
    low, high = edges(axis, profiles, 0.2)
    middle, width = (low + high) / 2, high - low
    start, end = middle - REACH * width, middle + REACH * width
    everywhere = np.ones(profiles.shape, dtype=bool)
    curve = _binned(axis, profiles, everywhere, start, end, BINS, np.zeros((len(table), BINS)))
    data = _binned(spectra.velocity, spectra.flux, spectra.valid, start, end, BINS, curve)
    halves = _binned(
        *(spectra.velocity, spectra.flux, spectra.valid, low, high, 2),
        _binned(axis, profiles, everywhere, low, high, 2, np.zeros((len(table), 2))),
    )
    mirrored = halves[:, 0] > halves[:, 1]
    for values in (curve, data, halves):
        values[mirrored] = values[mirrored, ::-1]
    mean = _positive(np.abs(table["flux_int"].to_numpy(float)) * 1000 / width)
    noise, channel = _numbers(table, "rms"), _numbers(table, "channel_width")
    ratio = np.divide(halves[:, 1], halves[:, 0], out=np.full(len(table), 10.0), where=halves[:, 0] > 0)
    columns = [
        *_of_fit(table, channel, noise),
        *_measures(profiles, mirrored),
        *np.clip(data / mean[:, None], -5, 10).T,
        *np.clip(curve / mean[:, None], -5, 10).T,
        _log(noise / mean * np.sqrt(channel * BINS / (2 * REACH * width))),
        np.log(np.clip(ratio, 1, 10)),
        _log(noise / mean * np.sqrt(2 * channel / width)),
    ]
    return np.nan_to_num(np.stack(columns, axis=1), nan=0, posinf=10, neginf=-10).astype(np.float32)


def _of_fit(table: pd.DataFrame, channel: np.ndarray, noise: np.ndarray) -> list[np.ndarray]:
    w50, w20 = _numbers(table, "w50"), _numbers(table, "w20")
    errors = [_log(_numbers(table, f"{name}_err") / _numbers(table, unit)) for name, unit in ERRORS.items()]
    return [
        _log(_numbers(table, "snr")),
        _log(w50),
        _log(w50 / channel),
        w20 / w50,
        _numbers(table, "w80") / w20,
        _log(_numbers(table, "flux_peak") / noise),
        _log(_numbers(table, "chi2_dof")),
        _numbers(table, "horns"),
        np.log1p(np.nan_to_num(np.maximum(_numbers(table, "trough_snr"), 0))),
        _numbers(table, "noise_correlation"),
        *errors,
    ]


def _measures(profiles: np.ndarray, mirrored: np.ndarray) -> list[np.ndarray]:
    values = dict(zip(NAMES, ProfileAsymmetry().transform(profiles).T, strict=True))
    for name in SIGNED:
        values[name] = np.where(mirrored, -values[name], values[name])
    return [np.log(value) if name in RATIOS else value for name, value in values.items()]


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy(float) if name in table else np.full(len(table), np.nan)


def _positive(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, np.finfo(float).tiny)


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.clip(values, LEAST, 1 / LEAST**2))


def _binned(
    velocity: np.ndarray,
    flux: np.ndarray,
    valid: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    n_bins: int,
    otherwise: np.ndarray,
) -> np.ndarray:
    """Return the mean flux density of valid channels in bins, shape (N, n_bins); `otherwise` where there are none.

    Channels count by the part of them that is in a bin. Velocities are taken to be even, as they nearly are.
    """
    n, length = flux.shape
    step = (velocity[:, -1] - velocity[:, 0]) / (length - 1)
    first, last = ((end - velocity[:, 0]) / step + 0.5 for end in (low, high))
    bounds = np.clip(first[:, None] + (last - first)[:, None] * np.linspace(0, 1, n_bins + 1), 0, length)
    below = np.minimum(bounds.astype(int), length - 1)
    share = bounds - below

    def sums(values: np.ndarray) -> np.ndarray:
        running = np.concatenate([np.zeros((n, 1)), np.cumsum(values, axis=1, dtype=float)], axis=1)
        at = (1 - share) * np.take_along_axis(running, below, 1) + share * np.take_along_axis(running, below + 1, 1)
        return np.diff(at, axis=1)

    used = sums(valid)
    return np.divide(sums(np.where(valid, flux, 0)), used, out=otherwise.copy(), where=used > 1e-6)
