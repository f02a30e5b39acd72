"""Features for classifiers that are to see data and fit with their noise, and not the curve alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Self

import numpy as np
from annotated_types import Ge, MinLen
from scipy.special import logit
from sklearn.utils.validation import validate_data

from hiexp.cache import DiskCache, NoCache
from hiexp.errors import InputError
from hiexp.features.stateless import StatelessTransformer
from hiexp.fitting import FitResult
from hiexp.kinds import Seed
from hiexp.posterior.density import AsymmetryDensity
from hiexp.posterior.inputs import LINE_INPUTS
from hiexp.posterior.learned import learned_density
from hiexp.posterior.measures import MeasureName, check_limits, measure_named
from hiexp.posterior.population import half_normals, posteriors, quantiles, share_above
from hiexp.spectra import Spectra

LEVELS = (0.16, 0.5, 0.84)
SUREST = 1e-6  # no probability is taken to be nearer to 0 or 1


class LineInputs(StatelessTransformer):
    """Hand on the `line_inputs` of each line as they are: most are logarithms and ratios of about 1."""

    takes_lines = True
    """What it transforms are `line_inputs`, and not profiles."""

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Check the inputs, shape (N, n); there is nothing to learn."""
        self._checked(X, reset=True)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the inputs, shape (N, n)."""
        return self._checked(X, reset=False)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the inputs; `input_features` is there for scikit-learn and has no effect."""
        return np.array(LINE_INPUTS, dtype=object)

    def _checked(self, X: np.ndarray, reset: bool) -> np.ndarray:
        inputs = validate_data(self, X, reset=reset, dtype=[np.float32, np.float64])
        if inputs.shape[1] != len(LINE_INPUTS):
            raise InputError(
                f"{type(self).__name__} takes the {len(LINE_INPUTS)} numbers of "
                f"hiexp.posterior.line_inputs(spectra, fit), and not {inputs.shape[1]}"
            )
        return inputs


class AsymmetryPosterior(LineInputs):
    """Tell how asymmetric a line is without noise, and how surely, in a population of unknown asymmetry.

    The population is a mixture in equal shares of half-normals of all scales: nothing is learned from the lines
    that are transformed. A classifier learns from the result what their classes and their population are.

    Parameters
    ----------
    density : AsymmetryDensity
        What simulated lines tell of the measure.
    measure : str
        One of `MEASURES`.
    limits : sequence of float
        Values of it that divide classes.
    """

    def __init__(self, density: AsymmetryDensity, measure: str, limits: Sequence[float]) -> None:
        self.density = density
        self.measure = measure
        self.limits = limits

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the features of `line_inputs`, shape (N, n), in the order of `get_feature_names_out`."""
        inputs = self._checked(X, reset=False)
        scale, bounds = measure_named(self.measure).scale, self.density.bounds
        population = half_normals(scale(bounds)).mean(axis=0)
        probability = posteriors(self.density.likelihood(inputs), population)
        above = np.stack([share_above(probability, bounds, limit) for limit in self.limits], axis=1)
        odds = logit(np.clip(above, SUREST, 1 - SUREST))
        log_snr, log_w50 = (inputs[:, [LINE_INPUTS.index(name)]] for name in ("log_snr", "log_w50"))
        found = scale(quantiles(probability, bounds, LEVELS))
        return np.concatenate([odds, odds * log_snr, found, log_snr, log_w50, log_w50**2], axis=1)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the features; `input_features` is there for scikit-learn and has no effect."""
        odds = [f"log_odds_above_{limit:g}" for limit in self.limits]
        found = [f"scaled_quantile_{level:g}" for level in LEVELS]
        with_snr = [f"{name}_times_log_snr" for name in odds]
        return np.array([*odds, *with_snr, *found, "log_snr", "log_w50", "log_w50_squared"], dtype=object)


def asymmetry_posterior(
    line_fit: Callable[[Spectra], FitResult],
    cache: DiskCache | NoCache,
    measure: MeasureName = "A_flux",
    limits: Annotated[Sequence[float], MinLen(1)] = (1.26, 1.39),
    simulations: Annotated[int, Ge(500)] = 60_000,
    seed: Seed = 0,
) -> AsymmetryPosterior:
    """Return the feature that tells how asymmetric lines are without noise, once that is learned.

    Parameters
    ----------
    line_fit : callable
        The fit, for simulated lines: that of the lines to be classified.
    cache : DiskCache or NoCache
        Keeps what is learned from them.
    measure : str
        One of `MEASURES`.
    limits : sequence of float
        Values of it that divide classes.
    simulations : int
        Lines that are simulated.
    seed : int
        Seed of the simulation.

    Raises
    ------
    InputError
        If there is no such measure, or a limit is one that every line exceeds.
    """
    check_limits(measure, limits)
    return AsymmetryPosterior(learned_density(measure, simulations, line_fit, cache, seed), measure, list(limits))
