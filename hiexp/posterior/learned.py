"""A density that is learned once for each fit and measure, and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from hiexp.cache import DiskCache, NoCache, fingerprint
from hiexp.errors import InputError
from hiexp.fitting import FitResult
from hiexp.posterior.density import AsymmetryDensity
from hiexp.posterior.measures import measure_named
from hiexp.posterior.sky import simulate
from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

FEWEST = 250  # lines to learn from: fewer would leave bins empty
_LEARNED: dict[str, AsymmetryDensity] = {}  # by this process, for the folds of a run without a cache


def learned_density(
    measure: str, simulations: int, line_fit: Callable[[Spectra], FitResult], cache: DiskCache | NoCache, seed: int
) -> AsymmetryDensity:
    """Return what simulated lines tell of a measure, learned now or known from before.

    Parameters
    ----------
    measure : str
        One of `MEASURES`.
    simulations : int
        Lines that are simulated and fitted.
    line_fit : callable
        The fit; a function with settings (`functools.partial`).
    cache : DiskCache or NoCache
        Keeps the result.
    seed : int
        Seed of lines, noise and networks.

    Raises
    ------
    InputError
        If there is no such measure, or too few simulated lines have a fit that measures them.
    """
    least = measure_named(measure).least
    fitted_by = line_fit if isinstance(line_fit, partial) else partial(line_fit)
    given = [measure, simulations, seed, f"{fitted_by.func.__module__}.{fitted_by.func.__qualname__}"]
    key = fingerprint(given, fitted_by.keywords)

    def learn() -> AsymmetryDensity:
        log.info(
            "Learning %s without noise from %d simulated lines: minutes, but once for a fit", measure, simulations
        )
        inputs, truth, width = simulate(line_fit, measure, simulations, seed)
        if len(inputs) < FEWEST:
            raise InputError(
                f"{fitted_by.func.__name__} measures {len(inputs)} of {simulations} simulated lines, too few to "
                f"learn {measure} without noise from; choose another fit, or more simulations"
            )
        return AsymmetryDensity.train(inputs, truth, width, least, seed)

    if key not in _LEARNED:
        _LEARNED[key] = cache.recall("posterior", AsymmetryDensity, (given, fitted_by.keywords), learn)
    return _LEARNED[key]
