"""Scores as functions of confusion tables, of any number of tables at once.

A table counts objects by true (row) and predicted (column) class; the counts may be weights. Where a table holds no
object that a score speaks of, the score is NaN.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

FEW = 6  # classes, whose relabelings (720 of six) are compared one by one


def accuracy(tables: np.ndarray) -> np.ndarray:
    """Return the fraction of objects on the diagonal, shape (..., K, K) to (...)."""
    return _ratio(np.trace(tables, axis1=-2, axis2=-1), tables.sum(axis=(-2, -1)))


def recall(tables: np.ndarray) -> np.ndarray:
    """Return the fraction of each true class that is predicted as such, shape (..., K, K) to (..., K)."""
    return _ratio(np.diagonal(tables, axis1=-2, axis2=-1), tables.sum(axis=-1))


def precision(tables: np.ndarray) -> np.ndarray:
    """Return the fraction of each predicted class that is truly of it, shape (..., K, K) to (..., K)."""
    return _ratio(np.diagonal(tables, axis1=-2, axis2=-1), tables.sum(axis=-2))


def balanced_accuracy(tables: np.ndarray) -> np.ndarray:
    """Return the mean recall over the classes that occur in the truth, shape (..., K, K) to (...)."""
    return _mean_of_known(recall(tables))


def macro_f1(tables: np.ndarray) -> np.ndarray:
    """Return the mean F1 over the classes in truth or prediction, shape (..., K, K) to (...)."""
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    return _mean_of_known(_ratio(2 * right, tables.sum(axis=-2) + tables.sum(axis=-1)))


def success_rate(tables: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
    """Return the highest accuracy over all relabelings of the classes, shape (..., K, K) to (...).

    The measure of Jaimes-Illanes et al. 2025 (arXiv:2501.11657); with `columns`, as `best_relabeling` returns them,
    the accuracy after that relabeling.
    """
    columns = best_relabeling(tables) if columns is None else columns
    right = np.take_along_axis(tables, columns[..., None], axis=-1)[..., 0]
    return _ratio(right.sum(axis=-1), tables.sum(axis=(-2, -1)))


def best_relabeling(tables: np.ndarray) -> np.ndarray:
    """Return which predicted class is best renamed to each class, shape (..., K, K) to (..., K).

    Of few classes all relabelings are compared; of many the best is found as a linear assignment.
    """
    n_classes = tables.shape[-1]
    flat = tables.reshape(-1, n_classes**2)
    if n_classes > FEW:
        from scipy.optimize import linear_sum_assignment

        columns = [linear_sum_assignment(table.reshape(n_classes, -1), maximize=True)[1] for table in flat]
        return np.array(columns).reshape(tables.shape[:-1])
    relabelings, members = _relabelings(n_classes)
    return relabelings[np.argmax(flat @ members, axis=-1)].reshape(tables.shape[:-1])


@cache
def _relabelings(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all relabelings, shape (K!, K), and which cells of a flat table each sums, shape (K * K, K!)."""
    relabelings = np.array(list(itertools.permutations(range(n_classes))))
    members = np.zeros((n_classes**2, len(relabelings)))
    cells = np.arange(n_classes) * n_classes + relabelings
    members[cells, np.arange(len(relabelings))[:, None]] = 1
    return relabelings, members


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) > 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))
