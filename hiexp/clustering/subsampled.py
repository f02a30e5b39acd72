"""A guard for methods whose memory or time grows with the square of the number of objects."""

from __future__ import annotations

import logging
import math
import warnings
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from hiexp.clustering.placing import place
from hiexp.errors import InputError
from hiexp.kinds import NotNegative, Positive, Seed, Several
from hiexp.mapped import parts_of, rows_taken

log = logging.getLogger(__name__)

WORTH_TELLING = 0.05  # GB; less is shown as 0.0


class Subsampled(ClusterMixin, BaseEstimator):
    """A clusterer that sees a random part of a sample too large for it.

    The other objects are placed in the groups found by the clusterer's own ``predict``, or where it has none with
    their nearest neighbour in the part that it saw (see `place`).

    Parameters
    ----------
    clusterer : scikit-learn clusterer
        Left as it is; a clone of it is fitted.
    bytes_per_pair : float
        Memory that it needs for each pair of objects: 8 for one full matrix of double precision.
    memory_gb : float
        The most it may need, in units of 1e9 bytes.
    at_most : int, optional
        The most objects it may see, for a method that would take too long before it needs too much memory.
    seed : int
        Seed of the random draw.

    Attributes
    ----------
    labels_ : ndarray of int, shape (N,)
        The group of every object; -1 for noise.
    sampled_ : ndarray of int, shape (M,)
        Indices of the objects that the clusterer saw, ascending.
    points_ : ndarray, shape (M, n)
        Those objects.
    clusterer_ : scikit-learn clusterer
        Fitted to them.
    """

    def __init__(
        self,
        clusterer: ClusterMixin,
        bytes_per_pair: NotNegative = 8.0,
        memory_gb: Positive = 2.0,
        at_most: Several | None = None,
        seed: Seed = 0,
    ) -> None:
        self.clusterer = clusterer
        self.bytes_per_pair = bytes_per_pair
        self.memory_gb = memory_gb
        self.at_most = at_most
        self.seed = seed

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Group the objects, shape (N, n).

        Raises
        ------
        InputError
            If the limits leave fewer than two objects.
        """
        X = validate_data(self, X)
        self.sampled_ = self._sample(len(X))
        self.points_ = rows_taken(X, self.sampled_)
        self.clusterer_ = clone(self.clusterer)
        with warnings.catch_warnings():  # as many objects as samples are no matrix of affinities
            warnings.filterwarnings("ignore", "The spectral clustering API has changed", UserWarning)
            groups = np.asarray(self.clusterer_.fit_predict(self.points_))
        self.labels_ = np.empty(len(X), dtype=groups.dtype)
        self.labels_[self.sampled_] = groups
        others = np.setdiff1d(np.arange(len(X)), self.sampled_)
        if others.size:
            for part in parts_of(others):
                self.labels_[part] = place(self.clusterer_, self.points_, groups, X[part])
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the groups of other objects, shape (M,)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return place(self.clusterer_, self.points_, self.labels_[self.sampled_], X)

    def _sample(self, n_objects: int) -> np.ndarray:
        """Return the objects that the clusterer may see, and say on the screen what that costs."""
        name = type(self.clusterer).__name__
        needed = self.bytes_per_pair * n_objects**2 / 1e9
        limit = self._limit(n_objects)
        if n_objects <= limit:
            if needed >= WORTH_TELLING:
                log.info("%s on %s objects needs up to %.1f GB for their pairs", name, f"{n_objects:,}", needed)
            return np.arange(n_objects)
        why = (
            f"at_most={limit}" if limit == self.at_most else f"all need {needed:.1f} GB, memory_gb={self.memory_gb:g}"
        )
        text = "%s groups a random %s of the %s objects (%s); the others are placed in their groups"
        log.warning(text, name, f"{limit:,}", f"{n_objects:,}", why)
        return np.sort(np.random.default_rng(self.seed).choice(n_objects, limit, replace=False))

    def _limit(self, n_objects: int) -> int:
        """Return how many of the objects the clusterer may see."""
        limit = n_objects
        if self.bytes_per_pair > 0:
            limit = min(limit, math.isqrt(int(max(self.memory_gb, 0) * 1e9 / self.bytes_per_pair)))
        if self.at_most is not None:
            limit = min(limit, self.at_most)
        if limit < min(2, n_objects):
            raise InputError(
                f"clusterer.memory_gb={self.memory_gb}, clusterer.at_most={self.at_most}: no two objects are left "
                "to group; raise the limit"
            )
        return limit
