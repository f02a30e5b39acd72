"""Clusterers that know that the samples of a profile stand in order; the work is done by tslearn."""

from __future__ import annotations

from typing import Self

import numpy as np
import tslearn.clustering
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from tslearn.metrics import cdist_normalized_cc
from tslearn.preprocessing import TimeSeriesScalerMeanVariance

from hiexp.kinds import Count, Seed, Several, Whole


class KShape(tslearn.clustering.KShape):
    """Groups of profiles alike up to a shift (k-Shape; Paparrizos & Gravano 2015, SIGMOD, 1855).

    Each profile is scaled to mean 0 and standard deviation 1, as the method asks; tslearn's own class leaves that
    to the caller in ``fit`` and does it in ``predict``. Parameters and attributes are those of tslearn.
    """

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Group the profiles, shape (N, n)."""
        return super().fit(_standardised(X))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the group whose centre each profile, shape (M, n), correlates best with, shape (M,)."""
        check_is_fitted(self, "cluster_centers_")
        series = _standardised(X)
        # With norms of their own: tslearn takes those of the profiles fitted, and reads beyond them if M > N.
        norms = np.linalg.norm(series, axis=(1, 2))
        return cdist_normalized_cc(
            series, self.cluster_centers_, norms1=norms, norms2=self.norms_centroids_, self_similarity=False
        ).argmax(axis=1)


class DTWKMeans(ClusterMixin, BaseEstimator):
    """k-means under dynamic time warping, with its barycentres (Petitjean et al. 2011, Pattern Recognition 44, 678).

    The cost of a distance grows with the square of the number of samples, so profiles are averaged in bins first.

    Parameters
    ----------
    n_clusters : int
        Groups to find.
    n_bins : int
        Bins of (nearly) equal width along a profile; a profile with fewer samples is used as it is.
    radius : int
        Half width of the Sakoe-Chiba band: the farthest that a bin may be moved.
    max_iter : int
        Iterations of k-means.
    max_iter_barycenter : int
        Iterations of each barycentre in each of those.
    random_state : int
        Seed of the first centres.

    Attributes
    ----------
    labels_ : ndarray of int, shape (N,)
        Group of each profile.
    kmeans_ : tslearn.clustering.TimeSeriesKMeans
        Fitted to the binned profiles.
    """

    def __init__(
        self,
        n_clusters: Count = 3,
        n_bins: Several = 100,
        radius: Whole = 5,
        max_iter: Count = 10,
        max_iter_barycenter: Count = 5,
        random_state: Seed = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_bins = n_bins
        self.radius = radius
        self.max_iter = max_iter
        self.max_iter_barycenter = max_iter_barycenter
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Group the profiles, shape (N, n)."""
        X = validate_data(self, X)
        self.kmeans_ = tslearn.clustering.TimeSeriesKMeans(
            n_clusters=self.n_clusters,
            metric="dtw",
            metric_params={"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": self.radius},
            max_iter=self.max_iter,
            max_iter_barycenter=self.max_iter_barycenter,
            random_state=self.random_state,
        )
        self.labels_ = self.kmeans_.fit_predict(self._binned(X))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the group with the nearest barycentre, shape (M,)."""
        check_is_fitted(self)
        return self.kmeans_.predict(self._binned(validate_data(self, X, reset=False)))

    def _binned(self, X: np.ndarray) -> np.ndarray:
        """Return the means of bins, shape (N, bins, 1)."""
        edges = np.linspace(0, X.shape[1], min(self.n_bins, X.shape[1]) + 1).astype(int)
        return (np.add.reduceat(X, edges[:-1], axis=1) / np.diff(edges))[..., None]


def _standardised(profiles: np.ndarray) -> np.ndarray:
    return TimeSeriesScalerMeanVariance().fit_transform(np.asarray(profiles, dtype=float)[..., None])
