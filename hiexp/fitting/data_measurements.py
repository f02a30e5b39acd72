"""What is measured on the spectra themselves, around the lines that a fit has found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from tqdm import tqdm

from hiexp.errors import InputError
from hiexp.fitting.batches import in_order
from hiexp.fitting.measurements import DATA_MEASUREMENTS
from hiexp.fitting.result import FitResult
from hiexp.kinds import Positive, Seed, Whole
from hiexp.mapped_tables import GrowingTable
from hiexp.spectra import Spectra, without_nan
from hiexp.spectral.growth import FLAT, REACH, growth_curve
from hiexp.spectral.lopsidedness import lopsidedness
from hiexp.spectral.widths import edges

BATCH = 1024  # spectra worked on at a time, which bounds the memory
FEWEST_VALID = 0.5  # of a line's channels: so many may be bridged, as after a fit
BEYOND = 1.2  # times what the curve of growth needs is cut out around a line
SOLAR_MASSES = 2.356e5  # of HI per Jy km/s at 1 Mpc
CORRECTED = ("w50", "w50_horns", "wm50")

RECIPES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "courtois2009": lambda width, z, resolution: width / (1 + z) - 0.5 * resolution,
    "redshift": lambda width, z, _resolution: width / (1 + z),
}


def measure_data(
    spectra: Spectra,
    fit: FitResult,
    realisations: Whole = 30,
    seed: Seed = 0,
    recipe: Literal["courtois2009", "redshift"] = "courtois2009",
    smoothed_channels: Positive = 1.0,
    hubble: Positive | None = None,
) -> FitResult:
    """Add to a fit what is measured on the data: curves of growth, asymmetries, corrected widths, masses.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    fit : FitResult
        Their fits, which say where the lines are.
    realisations : int
        Realisations of the noise that give the errors: Gaussian noise with the rms of the channels and the
        autocorrelation of those beside the line is added to the fitted curve. 0: no errors.
    seed : int
        Seed of the random draws.
    recipe : {"courtois2009", "redshift"}
        How widths are corrected: W / (1 + z) - 0.5 r with the resolution r (Courtois et al. 2009, AJ 138, 1938), or W
        / (1 + z) alone.
    smoothed_channels : float
        Resolution in channels: 2 after Hanning smoothing.
    hubble : float, optional
        Hubble constant, km/s/Mpc, for distances cz / H0 of objects of which the catalogue has none; by default they
        have no mass.

    Returns
    -------
    FitResult
        With the columns of `DATA_MEASUREMENTS`; ``w50_corr`` and its like are NaN where the fit has no such width
        or a resolution of its size, curves and asymmetries where the line reaches the edge of the
        band or half of it is masked.

    Raises
    ------
    InputError
        If a setting is out of its range.
    """
    if recipe not in RECIPES:
        raise InputError(f"measurements.recipe={recipe}: choose of {', '.join(RECIPES)}")
    starts = range(0, len(spectra), BATCH)
    batches = (
        (spectra.take(rows), fit.take(rows), realisations, seed, recipe, smoothed_channels, hubble)
        for rows in (slice(start, start + BATCH) for start in starts)
    )
    measured = GrowingTable(len(spectra))
    with tqdm(total=len(spectra), desc="measuring spectra", unit=" spectra", delay=1, leave=False) as bar:
        for part in in_order(_measure_batch, batches, len(starts)):
            measured.add(part)
            bar.update(len(part))
    return replace(fit, table=pd.concat([fit.table, measured.table()], axis=1))


def _measure_batch(
    spectra: Spectra,
    fit: FitResult,
    realisations: int,
    seed: int,
    recipe: str,
    smoothed_channels: float,
    hubble: float | None,
) -> pd.DataFrame:
    """Return the columns of some of the spectra."""
    first = spectra.first
    spectra = _usable(spectra)
    rows = np.flatnonzero(fit.good & np.isfinite(fit.table["w20"].to_numpy(float)))
    ends = _line_ends(fit, rows)
    measured = [
        _measure(spectra, fit, row, low, high, realisations, np.random.default_rng([seed, first + row]))
        for row, low, high in zip(rows, *ends, strict=True)
    ]
    table = pd.DataFrame(measured, index=fit.table.index[rows]).reindex(fit.table.index)
    table = pd.concat(
        [table, _corrected(fit.table, spectra, recipe, smoothed_channels), _masses(fit.table, spectra, hubble)],
        axis=1,
    )
    columns = [
        column
        for name, row in DATA_MEASUREMENTS.items()
        for column in ((name, f"{name}_err") if row.of_line else (name,))
    ]
    return table.reindex(columns=columns).astype(float)


def _usable(spectra: Spectra) -> Spectra:
    """Return the spectra with channels that a fit does not use, for want of a flux or a noise, not valid."""
    spectra = without_nan(spectra)
    if spectra.rms.ndim == 1:
        return spectra
    known = np.isfinite(spectra.rms) & (spectra.rms > 0)
    rms = np.where(known, spectra.rms, spectra.typical_rms[:, None])
    return replace(spectra, valid=spectra.valid & known, rms=rms)


def _line_ends(fit: FitResult, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the lines at 20 % of their peaks, km/s, each of shape (R,)."""
    if fit.parameters and len(rows):
        share = np.linspace(0, 1, fit.profiles.shape[1])
        low, high = fit.windows[rows].T[:, :, None]
        return edges(low + (high - low) * share, fit.profiles[rows].astype(float), 0.2)
    position, half = (fit.table[name].to_numpy(float)[rows] for name in ("position", "w20"))
    return position - half / 2, position + half / 2


def _measure(
    spectra: Spectra,
    fit: FitResult,
    row: int,
    low: float,
    high: float,
    realisations: int,
    random: np.random.Generator,
) -> dict[str, float]:
    """Return what is measured on one spectrum, with errors; nothing of a line that is cut or mostly masked."""
    velocity, valid = spectra.velocity[row], spectra.valid[row]
    channel = float(np.median(np.diff(velocity)))
    used = np.flatnonzero(valid)
    within = valid[(velocity >= low) & (velocity <= high)]
    if not within.any() or within.mean() < FEWEST_VALID:
        return {}
    if low <= velocity[used[0]] + channel or high >= velocity[used[-1]] - channel:
        return {}
    reach = BEYOND * FLAT * REACH * (high - low) / 2
    first, last = np.searchsorted(velocity, [(low + high) / 2 - reach, (low + high) / 2 + reach])
    cut = slice(max(first - 1, used[0]), min(last, used[-1]) + 1)
    flux = np.interp(velocity, velocity[valid], spectra.flux[row, valid])  # masked channels are bridged
    systemic = fit.table["v_horns"].iloc[row]
    systemic = systemic if np.isfinite(systemic) else (low + high) / 2
    rms = spectra.rms[row]
    if not (np.isfinite(rms) & (rms > 0)).all():  # of noise that nobody knows there is no other
        realisations = 0
    noisy = _realised(spectra, fit, row, (low, high), flux, cut, realisations, random)
    lines = np.concatenate([flux[None, cut], noisy])
    numbers = {f"cog_{name}": values for name, values in growth_curve(velocity[cut], lines, low, high).items()}
    numbers |= lopsidedness(velocity[cut], lines, low, high, systemic)
    values = np.stack([*numbers.values()], axis=1)
    known = np.isfinite(values[1:])
    count = known.sum(axis=0)
    with np.errstate(all="ignore"):  # no realisations, or none with a value
        mean = np.where(known, values[1:], 0.0).sum(axis=0) / count
        deviation = np.sqrt((np.where(known, values[1:] - mean, 0.0) ** 2).sum(axis=0) / (count - 1))
    errors = np.where(count > max(realisations / 2, 1), deviation, np.nan)
    found = dict(zip(numbers, values[0], strict=True))
    found |= {f"{name}_err": error for name, error in zip(numbers, errors, strict=True)}
    noise = np.median(rms[cut] if np.ndim(rms) else rms) * np.sqrt(found["cog_v95"] * channel) / 1000
    return found | {"cog_snr": found["cog_flux"] / noise if noise > 0 else np.nan}


def _realised(
    spectra: Spectra,
    fit: FitResult,
    row: int,
    ends: tuple[float, float],
    flux: np.ndarray,
    cut: slice,
    realisations: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Return the line under other noise, shape (realisations, channels of the cut), mJy."""
    velocity, rms = spectra.velocity[row], spectra.rms[row]
    if not realisations:
        return np.empty((0, flux[cut].size))
    low, high = fit.windows[row]
    fitted = np.interp(velocity, np.linspace(low, high, fit.profiles.shape[1]), fit.profiles[row], left=0, right=0)
    curve = fitted if fit.parameters else flux  # without a model the line is what the data are
    free = spectra.valid[row] & ((velocity < ends[0]) | (velocity > ends[1]))
    white = random.standard_normal((realisations, velocity[cut].size))
    noise = _correlated(white, autocorrelation((spectra.flux[row] - fitted) / rms, free))
    return curve[cut] + noise * (rms[cut] if np.ndim(rms) else rms)


def autocorrelation(noise: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return the autocorrelation of noise, shape (L,), at lags of 1 to 5 channels; 0 where few are `free`."""
    noise = np.where(free, noise, 0.0)
    from hiexp.fitting.line import FEWEST_FREE, LAGS  # torch takes seconds, and settings are checked without it

    pairs = np.array([np.count_nonzero(free[lag:] & free[: free.size - lag]) for lag in range(LAGS + 1)])
    products = np.array([noise[lag:] @ noise[: noise.size - lag] for lag in range(LAGS + 1)])
    if pairs.min() < FEWEST_FREE or not products[0] > 0:
        return np.zeros(LAGS)
    return (products[1:] / pairs[1:]) / (products[0] / pairs[0])


def _correlated(white: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Return white noise, shape (R, M), with another autocorrelation, by its power spectrum."""
    n = 2 * white.shape[1]  # twice as long, so that its ends do not meet
    phase = 2 * np.pi * np.outer(np.fft.rfftfreq(n), np.arange(1, correlation.size + 1))
    power = np.clip(1 + 2 * np.cos(phase) @ correlation, 0, None)
    power *= n / (power[0] + power[-1] + 2 * power[1:-1].sum())
    return np.fft.irfft(np.fft.rfft(np.concatenate([white, white[::-1]], axis=1)) * np.sqrt(power), n)[:, : n // 2]


def _corrected(table: pd.DataFrame, spectra: Spectra, recipe: str, smoothed_channels: float) -> pd.DataFrame:
    """Return the widths of the fit as the galaxies have them."""
    from hiexp.spectral.axis import LIGHT_SPEED  # with astropy's units, and settings are checked without them

    z = table["position"].to_numpy(float) / LIGHT_SPEED
    resolution = smoothed_channels * np.median(np.diff(spectra.velocity, axis=1), axis=1)
    columns = {}
    for name in CORRECTED:
        corrected = RECIPES[recipe](table[name].to_numpy(float), z, resolution)
        columns[f"{name}_corr"] = np.where(corrected > 0, corrected, np.nan)  # narrower than the channels resolve
        if f"{name}_err" in table:
            error = table[f"{name}_err"].to_numpy(float) / (1 + z)
            columns[f"{name}_corr_err"] = np.where(corrected > 0, error, np.nan)
    return pd.DataFrame(columns, index=table.index)


def _masses(table: pd.DataFrame, spectra: Spectra, hubble: float | None) -> pd.DataFrame:
    """Return log10(M_HI / M_sun), M_HI = 2.356e5 D^2 S, of objects whose distance is known."""
    flux, position = (table[name].to_numpy(float) for name in ("flux_int", "position"))
    distance, of_distance = (_known(spectra.catalogue, name) for name in ("Dist", "e_Dist"))
    if hubble is not None:
        distance = np.where(distance > 0, distance, position / hubble)
    known = (distance > 0) & (flux > 0)
    of_flux = table["flux_int_err"].to_numpy(float) if "flux_int_err" in table else np.full(len(table), np.nan)
    with np.errstate(all="ignore"):
        mass = np.where(known, np.log10(SOLAR_MASSES * distance**2 * flux), np.nan)
        relative = np.hypot(of_flux / flux, 2 * np.nan_to_num(of_distance) / distance)
    return pd.DataFrame(
        {"logMHI": mass, "logMHI_err": np.where(known, relative / np.log(10), np.nan)}, index=table.index
    )


def _known(catalogue: pd.DataFrame, name: str) -> np.ndarray:
    if name not in catalogue:
        return np.full(len(catalogue), np.nan)
    return pd.to_numeric(catalogue[name], errors="coerce").to_numpy(dtype=float)
