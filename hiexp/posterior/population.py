"""How asymmetric the galaxies of a sample are without noise, all together.

A prior that is itself estimated from the sample makes posteriors of its objects that are right for the sample
(empirical Bayes). The distribution is taken to be largest at 0, symmetric lines, and to fall from there: a mixture of
half-normals of many scales, whose shares maximise the likelihood (Stephens 2017, Biostatistics 18, 275).
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf

SCALES = np.geomspace(0.015, 0.9, 14)
FEW = 10.0  # lines' worth of belief that all scales have the same share, which settles those of small samples
MOST_STEPS, SETTLED = 500, 1e-6  # steps of expectation and maximisation, and change of a share that ends them
RESAMPLED = 5000  # lines, at most, that are drawn again; of more the scatter is scaled
DRAWS = 200
INTERVAL = (2.5, 97.5)  # per cent


def half_normals(bounds: np.ndarray) -> np.ndarray:
    """Return the share of each half-normal in bins, shape (14, K), by the bounds of these, from 0 up."""
    shares = np.diff(erf(bounds / np.sqrt(2) / SCALES[:, None]), axis=1)
    return shares / shares.sum(axis=1, keepdims=True)


def estimate_population(
    likelihood: np.ndarray, components: np.ndarray, weights: np.ndarray | None = None, start: np.ndarray | None = None
) -> np.ndarray:
    """Return the shares of the components, shape (C,), that a sample is most likely with.

    Parameters
    ----------
    likelihood : ndarray, shape (N, K)
        Of each line, with its measure in each bin.
    components : ndarray, shape (C, K)
        Distributions over the bins.
    weights : ndarray, shape (N,), optional
        How often each line counts; once by default.
    start : ndarray, shape (C,), optional
        Where to begin.
    """
    given = likelihood @ components.T
    counted = np.ones(len(given)) if weights is None else weights
    prior = FEW / components.shape[0]
    shares = np.full(components.shape[0], 1 / components.shape[0]) if start is None else start
    for _ in range(MOST_STEPS):
        joint = given * shares
        found = counted @ (joint / joint.sum(axis=1, keepdims=True)) + prior
        before, shares = shares, found / found.sum()
        if np.abs(shares - before).max() < SETTLED:
            break
    return shares


def posteriors(likelihood: np.ndarray, population: np.ndarray) -> np.ndarray:
    """Return the probability of each bin for lines of a population, shape (N, K), by its shares of bins (K,)."""
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
    likelihood: np.ndarray, bounds: np.ndarray, components: np.ndarray, shares: np.ndarray, limit: float, seed: int
) -> tuple[float, float, float]:
    """Return the fraction of a population above a limit, and its 95 % interval, by the Bayesian bootstrap.

    Parameters
    ----------
    likelihood : ndarray, shape (N, K)
        Of a sample of the population.
    bounds, components, shares
        Bins, components over them and the shares of these in the sample.
    limit : float
        Of the measure.
    seed : int
        Seed of the random draws.

    References
    ----------
    Rubin 1981, Annals of Statistics 9, 130: the Bayesian bootstrap.
    """
    above = share_above(components, bounds, limit)
    rng, n = np.random.default_rng(seed), len(likelihood)
    rows = np.sort(rng.permutation(n)[:RESAMPLED])
    some = likelihood[rows]
    centre = estimate_population(some, components, start=shares) if len(rows) < n else shares
    drawn = []
    for _ in range(DRAWS):
        weights = rng.exponential(size=len(rows))
        weights *= len(rows) / weights.sum()
        drawn.append(estimate_population(some, components, weights, centre) @ above)
    fraction, scatter = float(shares @ above), (np.array(drawn) - centre @ above) * np.sqrt(len(rows) / n)
    low, high = np.clip(fraction + np.percentile(scatter, INTERVAL), 0, 1)
    return fraction, float(low), float(high)
