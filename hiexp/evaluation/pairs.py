"""The difference between two scores, pair by pair: of runs on the same split and seed, or of the same objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class PairedDifference:
    """By how much one of two settings, or of two ways of classifying, scores higher than the other.

    Attributes
    ----------
    mean : float
        Mean of the differences between runs; the difference of the scores of objects.
    low, high : float
        Confidence interval.
    p : float
        Probability of a difference at least as far from 0 if there is none.
    n : int
        Pairs of runs, or objects.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int


def paired_difference(
    first: np.ndarray, second: np.ndarray, test_share: float = 0.0, level: float = 0.95
) -> PairedDifference:
    """Return how much higher `second` scores than `first`, with the interval of the corrected resampled t test.

    Trainings on random splits of one sample share most of their objects, so their scores vary less than those on new
    samples would: the variance of the mean is (1 / n + n_test / n_train) times that of the differences instead of
    1 / n (Nadeau & Bengio 2003, Machine Learning 52, 239).

    Parameters
    ----------
    first, second : ndarray of float, shape (n,)
        Scores, pair by pair.
    test_share : float
        Share of the sample held out; 0 where each pair has a sample of its own.
    level : float
        Confidence level of the interval.

    Raises
    ------
    ValueError
        If there are not two pairs.
    """
    difference = np.asarray(second, float) - np.asarray(first, float)
    n = difference.size
    if n < 2:
        raise ValueError(f"an interval needs two pairs, there is {n}")
    error = np.sqrt(difference.var(ddof=1) * (1 / n + test_share / (1 - test_share)))
    mean = float(difference.mean())
    reach = stats.t.ppf((1 + level) / 2, n - 1) * error
    p = 2 * stats.t.sf(abs(mean) / error, n - 1) if error > 0 else float(mean == 0)
    return PairedDifference(mean, mean - float(reach), mean + float(reach), float(p), n)
