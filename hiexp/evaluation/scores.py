"""Scores of a classification, and the same scores by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import random_table

from hiexp.evaluation.measures import MEASURES, count

NUMBERS_A_BLOCK = 5_000_000


@dataclass(frozen=True)
class Scores:
    """How a classification did on objects held out.

    Attributes
    ----------
    observed : dict of str to float
        ``accuracy``, ``balanced_accuracy``, ``macro_f1`` and ``success_rate``.
    chance : dict of str to ndarray, shape (n_permutations,)
        The same under permuted truth.
    classes : ndarray
        Labels of the rows and columns of `confusion`.
    confusion : ndarray, shape (K, K)
        Objects by true (row) and predicted (column) class.
    """

    observed: dict[str, float]
    chance: dict[str, np.ndarray]
    classes: np.ndarray
    confusion: np.ndarray

    def p_value(self, name: str) -> float:
        """Return the share of permutations that score at least as high, the observed one counted in."""
        drawn = self.chance[name]
        return float((1 + np.sum(drawn >= self.observed[name] - 1e-12)) / (1 + drawn.size))


def score(truth: np.ndarray, predicted: np.ndarray, n_permutations: int, seed: int) -> Scores:
    """Score predictions, and permuted truth against the same predictions.

    Every score is a function of the confusion matrix, and permuting the truth draws a table with the same row
    and column sums; the tables are drawn directly (Patefield 1981, Applied Statistics 30, 91), so that a
    permutation costs the same for ten objects as for a million.

    Parameters
    ----------
    truth, predicted : ndarray of int, shape (N,)
        Classes; N at least 1.
    n_permutations : int
        Draws of the chance distribution.
    seed : int
        Of the draws.
    """
    classes = np.union1d(truth, predicted)
    confusion = count(np.searchsorted(classes, truth), np.searchsorted(classes, predicted), classes.size)
    true, chosen = confusion.sum(axis=1), confusion.sum(axis=0)
    if min(np.count_nonzero(true), np.count_nonzero(chosen)) == 1:
        # One table only has these sums, and scipy's sampler is wrong about such tables.
        draws = (np.repeat(confusion[None], n, axis=0) for n in _blocks(n_permutations, classes.size))
    else:
        sums, stream = random_table(true, chosen), np.random.RandomState(seed)
        draws = (sums.rvs(n, random_state=stream) for n in _blocks(n_permutations, classes.size))
    chance = [{name: function(tables) for name, function in MEASURES.items()} for tables in draws]
    return Scores(
        observed={name: float(function(confusion[None])[0]) for name, function in MEASURES.items()},
        chance={name: np.concatenate([block[name] for block in chance]) for name in MEASURES},
        classes=classes,
        confusion=confusion,
    )


def _blocks(n_tables: int, n_classes: int) -> list[int]:
    """Return how many tables to draw at a time: hundreds of classes make tables of which few fit into memory."""
    block = max(NUMBERS_A_BLOCK // n_classes**2, 1)
    return [block] * (n_tables // block) + [n_tables % block] * (n_tables % block > 0)
