"""The intrinsic asymmetry of each object, and of the sample, for the table of fits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge

from hiexp.cache import DiskCache, NoCache
from hiexp.fitting import FitResult
from hiexp.kinds import Seed
from hiexp.posterior.density import AsymmetryDensity
from hiexp.posterior.inputs import LINE_INPUTS, RATIOS, line_inputs
from hiexp.posterior.learned import learned_density
from hiexp.posterior.measures import MeasureName, check_limits, measure_named
from hiexp.posterior.population import Population, fractions_above, posteriors, quantiles, share_above
from hiexp.posterior.sky import within_simulated
from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

LEVELS = {"p50": 0.5, "p16": 0.16, "p84": 0.84, "p025": 0.025, "p975": 0.975}
"""Quantiles of a posterior, by the ends of their columns' names."""
FEWEST = 20  # lines of a sample that has a fraction: the interval of fewer would be that of the prior
MOST_OF_POPULATION = 20_000  # lines that the population is estimated from, at most
BLOCK = 8192  # lines whose posteriors are in memory


def infer_asymmetry(
    spectra: Spectra,
    fit: FitResult,
    line_fit: Callable[[Spectra], FitResult],
    cache: DiskCache | NoCache,
    measures: Sequence[MeasureName] = ("A_flux",),
    limits: Sequence[float] = (1.26, 1.39),
    simulations: Annotated[int, Ge(500)] = 60_000,
    seed: Seed = 0,
) -> FitResult:
    """Add the posterior of the intrinsic asymmetry: of the line as it would be without noise.

    Parameters
    ----------
    spectra : Spectra
        N spectra.
    fit : FitResult
        Their fits.
    line_fit : callable
        The same fit, for simulated lines.
    cache : DiskCache or NoCache
        Keeps what is learned from them.
    measures : sequence of str
        Measures of `MEASURES`.
    limits : sequence of float
        Values that each of them may exceed.
    simulations : int
        Lines that are simulated.
    seed : int
        Seed of the simulation and of the bootstrap.

    Returns
    -------
    FitResult
        With the columns ``M_p50`` (median), ``M_p16``, ``M_p84``, ``M_p025``, ``M_p975`` and ``M_above_1_26``, the
        probability of more than 1.26, of each measure M; NaN without a fit, and of lines beyond those simulated. Its
        ``sample`` has the fraction above each limit, with a 95 % interval, and the fraction of the measured values,
        where it has 20 lines.

    Raises
    ------
    InputError
        If there is no such measure, or a limit is one that every line exceeds.
    """
    for name in measures:
        check_limits(name, limits)
    inputs = line_inputs(spectra, fit)
    known = np.isfinite(inputs[:, 0])
    beyond = known & ~within_simulated(fit.table)
    if beyond.any():
        log.warning("%d lines are beyond those simulated in W50, S/N or channels and have no posterior", beyond.sum())
    known &= ~beyond
    columns: dict[str, np.ndarray] = {}
    meanings: dict[str, str] = {}
    sample: dict[str, float] = {}
    for name in measures:
        density = learned_density(name, simulations, line_fit, cache, seed)
        of_lines, said, of_sample = infer_lines(name, limits, density, inputs[known], seed)
        for column, values in of_lines.items():
            columns[column] = np.full(len(known), np.nan)
            columns[column][known] = values
        meanings |= said
        sample |= of_sample
    table = fit.table.join(pd.DataFrame(columns, index=fit.table.index))
    return replace(fit, table=table, meanings={**fit.meanings, **meanings}, sample={**fit.sample, **sample})


def infer_lines(
    name: str, limits: Sequence[float], density: AsymmetryDensity, inputs: np.ndarray, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, str], dict[str, float]]:
    """Infer one measure of the lines of a sample, and of the sample.

    Parameters
    ----------
    name : str
        One of `MEASURES`.
    limits : sequence of float
        Values of it that lines may exceed.
    density : AsymmetryDensity
        What simulated lines tell of it.
    inputs : ndarray, shape (N, n_inputs)
        `line_inputs` of the sample.
    seed : int
        Seed of the random draws.

    Returns
    -------
    columns : dict of str to ndarray, shape (N,)
        As of `infer_asymmetry`.
    meanings : dict of str to str
        What each column is.
    sample : dict of str to float
        As of `infer_asymmetry`.
    """
    measure, bounds = measure_named(name), density.bounds
    columns = {f"{name}_{end}": np.empty(len(inputs)) for end in LEVELS}
    meanings = {
        f"{name}_{end}": f"{100 * level:g} % quantile of the posterior of {name} without noise"
        for end, level in LEVELS.items()
    }
    above = {f"{name}_above_{limit:g}".replace(".", "_"): limit for limit in limits}
    for column, limit in above.items():
        columns[column] = np.empty(len(inputs))
        meanings[column] = f"probability that {name} without noise is above {limit:g}"
    if not len(inputs):
        return columns, meanings, {}
    widths = inputs[:, LINE_INPUTS.index("log_w50")]
    some = np.sort(np.random.default_rng(seed).permutation(len(inputs))[:MOST_OF_POPULATION])
    likelihood = density.likelihood(inputs[some])
    population = Population.estimate(likelihood, widths[some], measure.scale(bounds))
    for start in range(0, len(inputs), BLOCK):
        rows = slice(start, start + BLOCK)
        probability = posteriors(density.likelihood(inputs[rows]), population.over_bins(widths[rows]))
        found = quantiles(probability, bounds, tuple(LEVELS.values()))
        for place, end in enumerate(LEVELS):
            columns[f"{name}_{end}"][rows] = found[:, place]
        for column, limit in above.items():
            columns[column][rows] = share_above(probability, bounds, limit)
    if not above or len(inputs) < FEWEST:
        return columns, meanings, {}
    measured = inputs[:, LINE_INPUTS.index(name)].astype(float)
    measured = np.exp(measured) if name in RATIOS else np.abs(measured)
    fractions = fractions_above(likelihood, widths[some], bounds, population, list(above.values()), len(inputs), seed)
    sample: dict[str, float] = {}
    for (column, limit), (fraction, low, high) in zip(above.items(), fractions.tolist(), strict=True):
        sample |= {f"fraction_{column}": fraction, f"low_fraction_{column}": low, f"high_fraction_{column}": high}
        sample[f"measured_fraction_{column}"] = float(np.mean(measured > limit))
    return columns, meanings, sample
