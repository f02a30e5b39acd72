"""How asymmetric the galaxies of a sample are without noise, all together.

A prior that is itself estimated from the sample makes posteriors of its objects that are right for the sample
(empirical Bayes). The distribution is taken to be largest at 0, symmetric lines, and to fall from there: a mixture
of half-normals of many scales, whose shares maximise the likelihood (Stephens 2017, Biostatistics 18, 275). Narrow
lines, in which gas moves at random as fast as it rotates, look more symmetric than wide ones: where a sample is large
enough they have distributions of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        alike = np.full((1, len(SCALES)), 1 / len(SCALES))
        group = np.searchsorted(borders, widths)
        shares = [
            _most_likely(given, np.ones((1, len(given))), FEW * alike, alike[0])[0]
            for given in (likelihood[group == one] @ components.T for one in range(number))
        ]
        return cls(borders, np.array(shares), components)

    def over_bins(self, widths: np.ndarray) -> np.ndarray:
        """Return the share of each bin among lines of these widths, shape (N, K)."""
        return (self.shares @ self.components)[np.searchsorted(self.borders, widths)]


def half_normals(scaled_bounds: np.ndarray) -> np.ndarray:
    """Return the share of each half-normal, of `SCALES`, in bins, shape (C, K), by their bounds, shape (K + 1,)."""
    shares = np.diff(erf(scaled_bounds / np.sqrt(2) / SCALES[:, None]), axis=1)
    return shares / shares.sum(axis=1, keepdims=True)


def _most_likely(given: np.ndarray, weights: np.ndarray, prior: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return shares of components, shape (D, C), by expectation and maximisation.

    Parameters
    ----------
    given : ndarray, shape (N, C)
        Likelihood of each line in each component.
    weights : ndarray, shape (D, N)
        Ways in which the lines may count.
    prior : ndarray, shape (D, C)
        Lines' worth of belief in each component.
    start : ndarray, shape (C,)
        Where to begin.
    """
    shares = np.tile(start, (len(weights), 1))
    for _ in range(MOST_STEPS):
        found = shares * ((weights / (shares @ given.T)) @ given) + prior
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
    return probability @ part_above(bounds, limit)


def part_above(bounds: np.ndarray, limit: float) -> np.ndarray:
    """Return which part of each bin is above a limit, 0 to 1, shape (K,), by their bounds, shape (K + 1,)."""
    return np.clip((bounds[1:] - limit) / np.diff(bounds), 0, 1)


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
    """Return fractions of a sample above limits, and their 95 % intervals, by the Bayesian bootstrap.

    The fraction is the mean probability of the lines. A draw weights the lines, and the belief in each scale, by
    exponential numbers, and estimates the population anew: so the interval of a few lines is as wide as the prior.

    Parameters
    ----------
    likelihood, widths, bounds
        What is known of the sample's lines, and the bins.
    population : Population
        Estimated from it.
    limits : sequence of float
        Values of the measure.
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
    rng, n = np.random.default_rng(seed), len(likelihood)
    rows = np.sort(rng.permutation(n)[:RESAMPLED])
    group = np.searchsorted(population.borders, widths)
    weights = np.concatenate([np.ones((1, len(rows))), rng.exponential(size=(DRAWS, len(rows)))])
    estimate, drawn = np.zeros(len(limits)), np.zeros((1 + DRAWS, len(limits)))
    for one, shares in enumerate(population.shares):
        everyone, some = likelihood[group == one], likelihood[rows[group[rows] == one]]
        counted = weights[:, group[rows] == one]
        belief = np.concatenate([np.ones((1, len(shares))), rng.exponential(size=(DRAWS, len(shares)))])
        found = _most_likely(some @ population.components.T, counted, FEW / len(shares) * belief, shares)
        for place, limit in enumerate(limits):
            above = population.components * part_above(bounds, limit)
            estimate[place] += np.sum(_probabilities(everyone, population.components, above, shares[None]))
            probability = _probabilities(some, population.components, above, found)
            drawn[:, place] += np.sum(counted * probability, axis=1)
    estimate, drawn = estimate / n, drawn / weights.sum(axis=1, keepdims=True)
    scatter = (drawn[1:] - drawn[0]) * np.sqrt(len(rows) / n_lines)
    low, high = np.clip(estimate + np.percentile(scatter, INTERVAL, axis=0), 0, 1)
    return np.stack([estimate, low, high], axis=1)


def _probabilities(
    likelihood: np.ndarray, components: np.ndarray, above: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Return the probability of lines to be above a limit, shape (D, N), for populations of these shares, (D, C).

    ``above`` is the part of each component that is above the limit, shape (C, K).
    """
    return (shares @ (above @ likelihood.T)) / (shares @ (components @ likelihood.T))
