"""The Gaussian line model."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit
from tqdm import tqdm

from hiexp.fitting.line import find_lines
from hiexp.fitting.result import GOOD, FitResult
from hiexp.spectra import Spectra

W50_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
W20_PER_SIGMA = 2 * np.sqrt(2 * np.log(5))
AREA_PER_SIGMA = np.sqrt(2 * np.pi)
PARAMETERS = ("peak", "centre", "sigma")


def gaussian(velocity: np.ndarray, peak: float, centre: float, sigma: float) -> np.ndarray:
    """Return p exp(-(v - c)^2 / 2 w^2): `peak` in mJy, `velocity`, `centre` and `sigma` in km/s."""
    return peak * np.exp(-0.5 * ((velocity - centre) / sigma) ** 2)


def fit_gaussian(spectra: Spectra, n_samples: int = 256, half_window: float = 530.0) -> FitResult:
    """Fit one Gaussian to each line and sample it over a window of fixed velocity range.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    n_samples : int
        Samples a profile.
    half_window : float
        Reach of the window on each side of the line found, km/s.

    Returns
    -------
    FitResult
        With ``peak`` (mJy), ``centre`` and ``sigma`` (km/s) and their errors from the covariance. The profile is
        centred on the line found, not on the Gaussian, so that a fit which is off is seen to be off.
    """
    lines = find_lines(spectra)
    rows, profiles = [], np.full((len(spectra), n_samples), np.nan)
    for i in tqdm(range(len(spectra)), desc="fitting Gaussians", unit="spectrum", delay=1, leave=False):
        window = spectra.valid[i] & (np.abs(spectra.velocity[i] - lines.centre[i]) <= half_window)
        row = {"snr": lines.snr[i]}
        if lines.snr[i] == 0:
            row["status"] = "no emission found"
        elif window.sum() <= len(PARAMETERS):
            row["status"] = f"{window.sum()} valid channels in the window"
        else:
            row |= _fit_one(
                spectra.velocity[i, window],
                spectra.flux[i, window],
                spectra.rms[i],
                start=(spectra.flux[i, window].max(), lines.centre[i], lines.width[i] / W50_PER_SIGMA),
            )
        if row["status"] == GOOD:
            axis = np.linspace(lines.centre[i] - half_window, lines.centre[i] + half_window, n_samples)
            profiles[i] = gaussian(axis, *(row[name] for name in PARAMETERS))
        rows.append(row)
    table = pd.DataFrame(rows, index=pd.Index(spectra.ids, name="id"))
    windows = lines.centre[:, None] + half_window * np.array([-1.0, 1.0])
    windows[np.isnan(profiles[:, 0])] = np.nan
    return FitResult(table, profiles, windows, {"peak": "mJy", "centre": "km / s", "sigma": "km / s"})


def _fit_one(velocity: np.ndarray, flux: np.ndarray, rms: float, start: tuple[float, ...]) -> dict[str, float | str]:
    span = np.ptp(velocity)
    bounds = ([0, velocity[0], 1.0], [np.inf, velocity[-1], span])
    try:
        best, covariance = curve_fit(
            gaussian, velocity, flux, p0=np.clip(start, *bounds), sigma=np.full(flux.size, rms), bounds=bounds
        )
    except (RuntimeError, ValueError) as error:
        return {"status": f"the fit failed: {error}"}
    errors = np.sqrt(np.diag(covariance))
    if best[0] == 0 or not np.isfinite(errors).all():
        return {"status": "the fit failed: no Gaussian is better than none"}
    peak, centre, sigma = best
    return {
        **dict(zip(PARAMETERS, best, strict=True)),
        **dict(zip((f"{name}_err" for name in PARAMETERS), errors, strict=True)),
        "position": centre,
        "w50": W50_PER_SIGMA * sigma,
        "w20": W20_PER_SIGMA * sigma,
        "flux_peak": peak,
        "flux_int": AREA_PER_SIGMA * peak * sigma / 1000,
        "A_flux": 1.0,
        **goodness(flux, gaussian(velocity, *best), rms, len(PARAMETERS)),
        "status": GOOD,
    }


def goodness(data: np.ndarray, model: np.ndarray, rms: float, n_parameters: int) -> dict[str, float]:
    """Return chi2, chi2_dof, mse and r2 of a model against the channels it was fitted to."""
    residual = data - model
    chi2 = float(np.sum((residual / rms) ** 2))
    scatter = float(np.sum((data - data.mean()) ** 2))
    return {
        "chi2": chi2,
        "chi2_dof": chi2 / max(data.size - n_parameters, 1),
        "mse": float(np.mean(residual**2)),
        "r2": 1 - float(np.sum(residual**2)) / scatter if scatter > 0 else np.nan,
    }
