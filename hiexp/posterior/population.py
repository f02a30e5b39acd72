"""How asymmetric the galaxies of a sample are without noise, all together.

A prior that is itself estimated from the sample makes posteriors of its objects that are right for the sample
(empirical Bayes). The distribution is taken to be largest at 0, symmetric lines, and to fall from there: a mixture
of half-normals of many scales, whose shares maximise the likelihood (Stephens 2017, Biostatistics 18, 275). Narrow
lines, in which gas moves at random as fast as it rotates, look more symmetric than wide ones: where a sample is large
enough they have distributions of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.special import erf

SCALES = np.geomspace(0.015, 0.9, 14)
FEW = 3.0  # lines' worth of belief that all scales have the same share, which settles those of small samples
GROUP, MOST_GROUPS = 400, 8  # lines of a group of widths, at least, and such groups
MOST_STEPS, SETTLED = 300, 1e-5  # steps of expectation and maximisation, and change of a share that ends them
RESAMPLED = 3000  # lines, at most, that are drawn again; of more the scatter is scaled
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
            Likelihood of each line with its measure in each bin.
        widths : ndarray, shape (N,)
            Widths of the lines, in any unit.
        scaled_bounds : ndarray, shape (K + 1,)
            Bounds of the bins, on the scale on which a symmetric line has 0.
        """
        components = half_normals(scaled_bounds)
        number = int(np.clip(len(widths) // GROUP, 1, MOST_GROUPS))
        borders = np.quantile(widths, np.linspace(0, 1, number + 1)[1:-1]) if number > 1 else np.empty(0)
        start = cls(borders, np.full((number, len(SCALES)), 1 / len(SCALES)), components)
        return replace(start, shares=start.refined(likelihood, widths, np.ones((1, len(widths))))[0])

    def refined(self, likelihood: np.ndarray, widths: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the shares that a sample is most likely with, for each way, (D, N), in which its lines may count.

        The result has the shape (D, G, C).
        """
        group = np.searchsorted(self.borders, widths)
        shares = [
            _most_likely(likelihood[group == one] @ self.components.T, weights[:, group == one], start)
            for one, start in enumerate(self.shares)
        ]
        return np.stack(shares, axis=1)

    def over_bins(self, widths: np.ndarray) -> np.ndarray:
        """Return the share of each bin among lines of these widths, shape (N, K)."""
        return (self.shares @ self.components)[np.searchsorted(self.borders, widths)]


def half_normals(scaled_bounds: np.ndarray) -> np.ndarray:
    """Return the share of each half-normal, of `SCALES`, in bins, shape (C, K), by their bounds, shape (K + 1,)."""
    shares = np.diff(erf(scaled_bounds / np.sqrt(2) / SCALES[:, None]), axis=1)
    return shares / shares.sum(axis=1, keepdims=True)


def _most_likely(given: np.ndarray, weights: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return shares of components, shape (D, C), by expectation and maximisation.

    Parameters
    ----------
    given : ndarray, shape (N, C)
        Likelihood of each line in each component.
    weights : ndarray, shape (D, N)
        Ways in which the lines may count.
    start : ndarray, shape (C,)
        Where to begin.
    """
    shares = np.tile(start, (len(weights), 1))
    for _ in range(MOST_STEPS):
        found = shares * ((weights / (shares @ given.T)) @ given) + FEW / shares.shape[1]
        before, shares = shares, found / found.sum(axis=1, keepdims=True)
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


def fractions_above(
    likelihood: np.ndarray,
    widths: np.ndarray,
    bounds: np.ndarray,
    population: Population,
    limits: Sequence[float],
    n_lines: int,
    seed: int,
) -> np.ndarray:
    """Return fractions of a population above limits, and their 95 % intervals, by the Bayesian bootstrap.

    Parameters
    ----------
    likelihood, widths, bounds
        Likelihoods and widths of a sample, and the bounds of its bins.
    population : Population
        Estimated from it.
    limits : sequence of float
        Limits of the measure.
    n_lines : int
        Lines in the sample, of which those given are some.
    seed : int
        Seed of the random draws.

    Returns
    -------
    ndarray, shape (limits, 3)
        Fraction, and both ends of its interval.

    References
    ----------
    Rubin 1981, Annals of Statistics 9, 130: the Bayesian bootstrap.
    """
    above = np.stack([share_above(population.components, bounds, limit) for limit in limits], axis=1)

    def fractions(shares: np.ndarray, weights: np.ndarray, some: np.ndarray) -> np.ndarray:
        group = np.searchsorted(population.borders, widths[some])
        counts = np.stack([weights[:, group == one].sum(axis=1) for one in range(shares.shape[1])], axis=1)
        return np.einsum("dgc,dg,cl->dl", shares, counts / counts.sum(axis=1, keepdims=True), above)

    rng, n = np.random.default_rng(seed), len(likelihood)
    estimate = fractions(population.shares[None], np.ones((1, n)), np.arange(n))[0]
    rows = np.sort(rng.permutation(n)[:RESAMPLED])
    weights = np.concatenate([np.ones((1, len(rows))), rng.exponential(size=(DRAWS, len(rows)))])
    weights *= len(rows) / weights.sum(axis=1, keepdims=True)
    drawn = fractions(population.refined(likelihood[rows], widths[rows], weights), weights, rows)
    scatter = (drawn[1:] - drawn[0]) * np.sqrt(len(rows) / n_lines)
    low, high = np.clip(estimate + np.percentile(scatter, INTERVAL, axis=0), 0, 1)
    return np.stack([estimate, low, high], axis=1)
