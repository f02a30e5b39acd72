"""Objects that a clusterer has not seen."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClusterMixin
from sklearn.neighbors import KNeighborsClassifier


def place(clusterer: ClusterMixin, seen_in_fit: np.ndarray, groups: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the groups that other objects belong to, shape (M,).

    By the clusterer's own ``predict``, or where it has none with the nearest object that it has seen; next to
    noise (-1) is noise.

    Parameters
    ----------
    clusterer : scikit-learn clusterer
        Fitted.
    seen_in_fit : ndarray, shape (N, n)
        What it was fitted on.
    groups : ndarray of int, shape (N,)
        What it said of them.
    others : ndarray, shape (M, n)
        In the same units.
    """
    if hasattr(clusterer, "predict"):
        return clusterer.predict(others)
    return KNeighborsClassifier(1).fit(seen_in_fit, groups).predict(others)
