"""How asymmetric the galaxies of a sample are without noise, all together.

A prior that is itself estimated from the sample makes posteriors of its objects that are right for the sample
(empirical Bayes). The distribution is taken to be largest at 0, symmetric lines, and to fall from there: a mixture
of half-normals of many scales, whose shares maximise the likelihood (Stephens 2017, Biostatistics 18, 275). Narrow
lines, in which gas moves at random as fast as it rotates, look more symmetric than wide ones: where a sample is large
enough they have distributions of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import erf

SCALES = np.geomspace(0.015, 0.9, 14)
FEW = 10.0  # lines' worth of belief that all scales have the same share, which settles those of small samples
GROUP, MOST_GROUPS = 400, 4  # lines of a group of widths, at least, and such groups
MOST_STEPS, SETTLED = 500, 1e-6  # steps of expectation and maximisation, and change of a share that ends them
RESAMPLED = 5000  # lines, at most, that are drawn again; of more the scatter is scaled
DRAWS = 200
INTERVAL = (2.5, 97.5)  # per cent


@dataclass(frozen=True)
class Population:
    """The distribution of a measure over bins, for lines of different width.

    Attributes
    ----------
    borders : ndarray, shape (G - 1,)
        Widths that divide the groups, ascending.
    shares : ndarray, shape (G, C)
        Shares of the half-normals in each group.
    components : ndarray, shape (C, K)
        Half-normals: shares of the bins.
    """

    borders: np.ndarray
    shares: np.ndarray
    components: np.ndarray

    @classmethod
    def estimate(cls, likelihood: np.ndarray, widths: np.ndarray, scaled_bounds: np.ndarray) -> Self:
        """Return the population that a sample is most likely with.

        Parameters
        ----------
        likelihood : ndarray, shape (N, K)
            Of each line, with its measure in each bin.
        widths : ndarray, shape (N,)
            Of the lines, in any unit.
        scaled_bounds : ndarray, shape (K + 1,)
            Of the bins, on the scale on which a symmetric line has 0.
        """
        components = np.diff(erf(scaled_bounds / np.sqrt(2) / SCALES[:, None]), axis=1)
        components /= components.sum(axis=1, keepdims=True)
        number = int(np.clip(len(widths) // GROUP, 1, MOST_GROUPS))
        borders = np.quantile(widths, np.linspace(0, 1, number + 1)[1:-1]) if number > 1 else np.empty(0)
        start = cls(borders, np.full((number, len(SCALES)), 1 / len(SCALES)), components)
        return start.refined(likelihood, widths, np.ones(len(widths)))

    def refined(self, likelihood: np.ndarray, widths: np.ndarray, weights: np.ndarray) -> Self:
        """Return the population that the sample is most likely with if its lines count so often, shape (N,)."""
        group = np.searchsorted(self.borders, widths)
        shares = [
            _most_likely(likelihood[group == one] @ self.components.T, weights[group == one], start)
            for one, start in enumerate(self.shares)
        ]
        return type(self)(self.borders, np.array(shares), self.components)

    def over_bins(self, widths: np.ndarray) -> np.ndarray:
        """Return the share of each bin among lines of these widths, shape (N, K)."""
        return (self.shares @ self.components)[np.searchsorted(self.borders, widths)]


def _most_likely(given: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return shares of components, shape (C,), from the likelihood of each line in each of them, shape (N, C)."""
    shares = start
    for _ in range(MOST_STEPS):
        joint = given * shares
        found = weights @ (joint / joint.sum(axis=1, keepdims=True)) + FEW / len(shares)
        before, shares = shares, found / found.sum()
        if np.abs(shares - before).max() < SETTLED:
            break
    return shares


def posteriors(likelihood: np.ndarray, population: np.ndarray) -> np.ndarray:
    """Return the probability of each bin, shape (N, K), by its share in the population, shape (N, K) or (K,)."""
    joint = likelihood * population
    return joint / joint.sum(axis=1, keepdims=True)


def share_above(probability: np.ndarray, bounds: np.ndarray, limit: float) -> np.ndarray:
    """Return the probability that the measure is above a limit, shape (N,), from those of bins, shape (N, K)."""
    inside = np.clip((bounds[1:] - limit) / np.diff(bounds), 0, 1)
    return probability @ inside


def quantiles(probability: np.ndarray, bounds: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Return quantiles of the measure, shape (N, levels), from the probabilities of bins, shape (N, K)."""
    running = np.concatenate([np.zeros((len(probability), 1)), np.cumsum(probability, axis=1)], axis=1)
    running /= running[:, -1:]
    rows = np.arange(len(probability))
    found = []
    for level in levels:
        above = np.minimum((running < level).sum(axis=1), running.shape[1] - 1)
        low, high = running[rows, above - 1], running[rows, above]
        part = np.divide(level - low, high - low, out=np.zeros_like(low), where=high > low)
        found.append(bounds[above - 1] + part * (bounds[above] - bounds[above - 1]))
    return np.stack(found, axis=1)


def fraction_above(
    likelihood: np.ndarray, widths: np.ndarray, bounds: np.ndarray, population: Population, limit: float, seed: int
) -> tuple[float, float, float]:
    """Return the fraction of a population above a limit, and its 95 % interval, by the Bayesian bootstrap.

    Parameters
    ----------
    likelihood, widths, bounds
        Of a sample, and its bins.
    population : Population
        Estimated from it.
    limit : float
        Of the measure.
    seed : int
        Seed of the random draws.

    References
    ----------
    Rubin 1981, Annals of Statistics 9, 130: the Bayesian bootstrap.
    """

    def fraction(of: Population, weights: np.ndarray) -> float:
        return float(weights @ share_above(of.over_bins(widths[rows]), bounds, limit) / weights.sum())

    rng, n = np.random.default_rng(seed), len(likelihood)
    rows = np.arange(n)
    estimate = fraction(population, np.ones(n))
    rows = np.sort(rng.permutation(n)[:RESAMPLED])
    some, once = likelihood[rows], np.ones(len(rows))
    centre = population.refined(some, widths[rows], once) if len(rows) < n else population
    drawn = []
    for _ in range(DRAWS):
        weights = rng.exponential(size=len(rows))
        weights *= len(rows) / weights.sum()
        drawn.append(fraction(centre.refined(some, widths[rows], weights), weights))
    scatter = (np.array(drawn) - fraction(centre, once)) * np.sqrt(len(rows) / n)
    low, high = np.clip(estimate + np.percentile(scatter, INTERVAL), 0, 1)
    return estimate, float(low), float(high)
