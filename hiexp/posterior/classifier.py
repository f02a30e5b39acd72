"""The posterior of the intrinsic asymmetry as a classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Self

import numpy as np
from annotated_types import Ge, MinLen
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from hiexp.cache import DiskCache, NoCache
from hiexp.errors import InputError
from hiexp.evaluation.yardstick import Thresholds
from hiexp.fitting import FitResult
from hiexp.kinds import Seed
from hiexp.posterior.density import AsymmetryDensity
from hiexp.posterior.inputs import LINE_INPUTS
from hiexp.posterior.learned import learned_density
from hiexp.posterior.measures import measure_named
from hiexp.posterior.population import Population, posteriors, share_above
from hiexp.spectra import Spectra


def posterior_classifier(
    line_fit: Callable[[Spectra], FitResult],
    cache: DiskCache | NoCache,
    measure: str = "A_flux",
    limits: Annotated[Sequence[float], MinLen(1)] = (1.26, 1.39),
    balanced: bool = True,
    simulations: Annotated[int, Ge(500)] = 60_000,
    seed: Seed = 0,
) -> PosteriorClassifier:
    """Return a classifier that has learned from simulated lines what a measure is without noise.

    Parameters
    ----------
    line_fit : callable
        The fit, for simulated lines: that of the lines to be classified.
    cache : DiskCache or NoCache
        Keeps what is learned from them.
    measure : str
        One of `MEASURES`.
    limits : sequence of float
        Values of it that divide the classes 0, 1, ...
    balanced : bool
        As of `PosteriorClassifier`.
    simulations : int
        Lines that are simulated.
    seed : int
        Seed of the simulation.

    Raises
    ------
    InputError
        If there is no such measure.
    """
    return PosteriorClassifier(
        learned_density(measure, simulations, line_fit, cache, seed), measure, limits, balanced
    )


class PosteriorClassifier(ClassifierMixin, BaseEstimator):
    """Put lines into classes by the posterior of what a measure of asymmetry is without noise.

    Of the training objects it learns how asymmetric they are all together, which is the prior
    (`Population`), and how frequent each class is. What a line of given asymmetry looks like it has learned
    from simulated lines.

    Parameters
    ----------
    density : AsymmetryDensity
        What simulated lines tell.
    measure : str
        The measure.
    limits : sequence of float
        Values of it that divide the classes 0, 1, ...
    balanced : bool
        Whether an object goes where it is most probable if all classes were as frequent, which is best for the
        balanced accuracy; else where it is most probable. Probabilities are those of the training objects either way.

    Attributes
    ----------
    classes_ : ndarray of int, shape (C,)
        Classes of the training objects.
    shares_ : ndarray, shape (C,)
        How frequent they are.
    population_ : Population
        How asymmetric they are.
    """

    classes_: np.ndarray
    shares_: np.ndarray
    population_: Population

    def __init__(
        self, density: AsymmetryDensity, measure: str, limits: Sequence[float], balanced: bool = True
    ) -> None:
        self.density = density
        self.measure = measure
        self.limits = limits
        self.balanced = balanced

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Learn the population from the `line_inputs` of training objects, shape (N, n), and their classes, (N,).

        Raises
        ------
        InputError
            If the classes are not those that the limits divide.
        """
        inputs = self._checked(X, reset=True)
        self.classes_, counts = np.unique(y, return_counts=True)
        if not self._rule().is_about(self.classes_):
            raise InputError(
                f"classifier=posterior has the classes 0 to {len(self.limits)}, by {self._rule()}, and the training "
                f"objects have {', '.join(map(str, self.classes_))}: change classifier.limits, or labels"
            )
        self.shares_ = counts / counts.sum()
        self.population_ = Population.estimate(
            self.density.likelihood(inputs), _widths(inputs), measure_named(self.measure).scale(self.density.bounds)
        )
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, shape (N, C), for `line_inputs`, shape (N, n)."""
        joint = self._as_frequent(X) * self.shares_
        return joint / joint.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the class of each object, shape (N,), for `line_inputs`, shape (N, n)."""
        probability = self._as_frequent(X) * (1 if self.balanced else self.shares_)
        return self.classes_[probability.argmax(axis=1)]

    def _as_frequent(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class if all were as frequent, but for a factor, shape (N, C)."""
        check_is_fitted(self)
        inputs = self._checked(X, reset=False)
        population = self.population_.over_bins(_widths(inputs))
        probability = posteriors(self.density.likelihood(inputs), population)
        borders = self._rule().borders(self.classes_)

        def of_classes(bins: np.ndarray) -> np.ndarray:
            above = [share_above(bins, self.density.bounds, border) for border in borders]
            ends = [np.ones(len(bins)), *above, np.zeros(len(bins))]
            return -np.diff(np.stack(ends, axis=1), axis=1)

        return of_classes(probability) / np.maximum(of_classes(population), np.finfo(float).tiny)

    def _rule(self) -> Thresholds:
        return Thresholds(self.measure, self.limits)

    def _checked(self, X: np.ndarray, reset: bool) -> np.ndarray:
        inputs = validate_data(self, X, reset=reset, dtype=np.float32)
        if inputs.shape[1] != len(self.density.mean):
            raise InputError(
                f"classifier=posterior takes the {len(self.density.mean)} numbers of feature=line, and not "
                f"{inputs.shape[1]}: add feature=line to the command"
            )
        return inputs


def _widths(inputs: np.ndarray) -> np.ndarray:
    return inputs[:, LINE_INPUTS.index("log_w50")]
