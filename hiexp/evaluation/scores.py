"""Scores of a classification, and the same scores by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import random_table

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
    confusion = np.zeros((classes.size, classes.size), dtype=int)
    np.add.at(confusion, (np.searchsorted(classes, truth), np.searchsorted(classes, predicted)), 1)
    true, chosen = confusion.sum(axis=1), confusion.sum(axis=0)
    if min(np.count_nonzero(true), np.count_nonzero(chosen)) == 1:
        # One table only has these sums, and scipy's sampler is wrong about such tables.
        draws = (np.repeat(confusion[None], n, axis=0) for n in _blocks(n_permutations, classes.size))
    else:
        sums, stream = random_table(true, chosen), np.random.RandomState(seed)
        draws = (sums.rvs(n, random_state=stream) for n in _blocks(n_permutations, classes.size))
    chance = [{name: function(tables) for name, function in SCORES.items()} for tables in draws]
    return Scores(
        observed={name: float(function(confusion[None])[0]) for name, function in SCORES.items()},
        chance={name: np.concatenate([block[name] for block in chance]) for name in SCORES},
        classes=classes,
        confusion=confusion,
    )


def _blocks(n_tables: int, n_classes: int) -> list[int]:
    """Return how many tables to draw at a time: hundreds of classes make tables of which few fit into memory."""
    block = max(NUMBERS_A_BLOCK // n_classes**2, 1)
    return [block] * (n_tables // block) + [n_tables % block] * (n_tables % block > 0)


def accuracy(tables: np.ndarray) -> np.ndarray:
    """Return the fraction of objects on the diagonal of each table, shape (B, K, K) to (B,)."""
    return np.trace(tables, axis1=1, axis2=2) / tables.sum(axis=(1, 2))


def balanced_accuracy(tables: np.ndarray) -> np.ndarray:
    """Return the mean recall over the classes that occur in the truth, shape (B, K, K) to (B,)."""
    right, true = np.diagonal(tables, axis1=1, axis2=2), tables.sum(axis=2)
    recall = np.divide(right, true, out=np.zeros(true.shape), where=true > 0)
    return recall.sum(axis=1) / (true > 0).sum(axis=1)


def macro_f1(tables: np.ndarray) -> np.ndarray:
    """Return the mean F1 over the classes in truth or prediction, shape (B, K, K) to (B,)."""
    right = np.diagonal(tables, axis1=1, axis2=2)
    both = tables.sum(axis=1) + tables.sum(axis=2)
    f1 = np.divide(2 * right, both, out=np.zeros(both.shape), where=both > 0)
    return f1.sum(axis=1) / (both > 0).sum(axis=1)


def success_rate(tables: np.ndarray) -> np.ndarray:
    """Return the highest accuracy over all relabelings of the classes, shape (B, K, K) to (B,).

    The measure of Jaimes-Illanes et al. 2025; the maximum is found as a linear assignment.
    """
    best = [table[linear_sum_assignment(table, maximize=True)].sum() for table in tables]
    return np.array(best) / tables.sum(axis=(1, 2))


SCORES = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "success_rate": success_rate,
}
