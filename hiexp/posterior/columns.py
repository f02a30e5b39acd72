"""The intrinsic asymmetry of each object, and of the sample, for the table of fits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge

from hiexp.cache import DiskCache, NoCache
from hiexp.fitting import FitResult
from hiexp.kinds import Seed
from hiexp.posterior.density import AsymmetryDensity
from hiexp.posterior.inputs import LINE_INPUTS, line_inputs
from hiexp.posterior.learned import learned_density
from hiexp.posterior.measures import RATIO, measure_named
from hiexp.posterior.population import Population, fraction_above, posteriors, quantiles, share_above
from hiexp.posterior.sky import within_simulated
from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

LEVELS = {"p50": 0.5, "p16": 0.16, "p84": 0.84, "p025": 0.025, "p975": 0.975}
"""Quantiles of a posterior, by the ends of their columns' names."""


def infer_asymmetry(
    spectra: Spectra,
    fit: FitResult,
    line_fit: Callable[[Spectra], FitResult],
    cache: DiskCache | NoCache,
    measures: Mapping[str, Sequence[float]],
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
    measures : mapping of str to sequence of float
        Measures of `MEASURES`, and limits of each that it may exceed.
    simulations : int
        Lines that are simulated.
    seed : int
        Seed of the simulation and of the bootstrap.

    Returns
    -------
    FitResult
        With the columns ``M_p50`` (median), ``M_p16``, ``M_p84``, ``M_p025``, ``M_p975`` and ``M_above_1_26``, the
        probability of more than 1.26, of each measure M; NaN without a fit, and of lines beyond those simulated. Its
        ``sample`` has the fraction above each limit, with a 95 % interval, and the fraction of the measured values.

    Raises
    ------
    InputError
        If there is no such measure.
    """
    for name in measures:
        measure_named(name)
    inputs = line_inputs(spectra, fit)
    known = np.isfinite(inputs[:, 0])
    beyond = known & ~within_simulated(fit.table)
    if beyond.any():
        log.warning("%d lines are beyond what is simulated in W50 or channels and have no posterior", beyond.sum())
    known &= ~beyond
    columns: dict[str, np.ndarray] = {}
    meanings: dict[str, str] = {}
    sample: dict[str, float] = {}
    for name, limits in measures.items():
        density = learned_density(name, simulations, line_fit, cache, seed)
        of_lines, said, of_sample = _infer(name, limits, density, inputs[known], seed)
        for column, values in of_lines.items():
            columns[column] = np.full(len(known), np.nan)
            columns[column][known] = values
        meanings |= said
        sample |= of_sample
    table = fit.table.join(pd.DataFrame(columns, index=fit.table.index))
    return replace(fit, table=table, meanings={**fit.meanings, **meanings}, sample={**fit.sample, **sample})


def _infer(
    name: str, limits: Sequence[float], density: AsymmetryDensity, inputs: np.ndarray, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, str], dict[str, float]]:
    """Return columns of lines, shape (M,), what they mean, and numbers of the sample, for one measure."""
    measure, bounds = measure_named(name), density.bounds
    likelihood = density.likelihood(inputs)
    widths = inputs[:, LINE_INPUTS.index("log_w50")]
    population = Population.estimate(likelihood, widths, measure.scale(bounds))
    probability = posteriors(likelihood, population.over_bins(widths))
    found = quantiles(probability, bounds, tuple(LEVELS.values()))
    columns = {f"{name}_{end}": found[:, place] for place, end in enumerate(LEVELS)}
    meanings = {
        f"{name}_{end}": f"{100 * level:g} % quantile of the posterior of {name} without noise"
        for end, level in LEVELS.items()
    }
    sample: dict[str, float] = {}
    measured = inputs[:, LINE_INPUTS.index(name)].astype(float)
    measured = np.exp(measured) if measure is RATIO else np.abs(measured)
    for limit in limits:
        column = f"{name}_above_{limit:g}".replace(".", "_")
        columns[column] = share_above(probability, bounds, limit)
        meanings[column] = f"probability that {name} without noise is above {limit:g}"
        if len(inputs):
            fraction, low, high = fraction_above(likelihood, widths, bounds, population, limit, seed)
            sample |= {f"fraction_{column}": fraction, f"low_fraction_{column}": low, f"high_fraction_{column}": high}
            sample[f"measured_fraction_{column}"] = float(np.mean(measured > limit))
    return columns, meanings, sample
