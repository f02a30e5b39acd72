"""Scores of a grouping: how well it is separated, what it has to do with the reference, whether it comes back."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import ClusterMixin, clone
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    normalized_mutual_info_score,
    silhouette_score,
)
from sklearn.tree import DecisionTreeClassifier

from hiexp.evaluation.scores import score
from hiexp.spectra import UNKNOWN

WIDTH = "w50"
MEASURED = (WIDTH, "snr", "flux_int", "A_flux")
DEPTH = 3


def group_scores(
    points: np.ndarray, groups: np.ndarray, reference: np.ndarray | None = None, seed: int = 0, at_most: int = 5000
) -> dict[str, float]:
    """Describe a grouping in numbers.

    Noise (-1) is counted but enters no other score, so these speak of the objects that have a group: read them
    beside ``noise_fraction``.

    Parameters
    ----------
    points : ndarray, shape (N, n)
        What the clusterer saw of the objects.
    groups : ndarray of int, shape (N,)
        Group of each; -1 for noise.
    reference : ndarray of int, shape (N,), optional
        Classes to compare with; `UNKNOWN` where there is none.
    seed : int
        Seed of the random draw, if there are more than `at_most` objects.
    at_most : int
        The most objects that silhouette, Davies-Bouldin and Calinski-Harabasz are computed from.

    Returns
    -------
    dict
        ``n_groups``, ``n_noise``, ``noise_fraction``; ``silhouette`` (Rousseeuw 1987; -1 to 1, high is good),
        ``davies_bouldin`` (Davies & Bouldin 1979; low is good) and ``calinski_harabasz`` (Calinski & Harabasz 1974;
        high is good) where there are at least two groups and fewer groups than objects; ``adjusted_rand`` (Hubert &
        Arabie 1985; 1 for the same division, 0 on average by chance) and ``normalised_mutual_information`` (0 to 1;
        above 0 by chance) where objects with both a group and a class are of at least two groups and two classes.
    """
    grouped = groups != UNKNOWN
    scores = {
        "n_groups": float(np.unique(groups[grouped]).size),
        "n_noise": float(np.sum(~grouped)),
        "noise_fraction": float(np.mean(~grouped)),
    }
    drawn = np.flatnonzero(grouped)
    if drawn.size > at_most:
        drawn = np.sort(np.random.default_rng(seed).choice(drawn, at_most, replace=False))
    scores |= _separation(points[drawn], groups[drawn])
    if reference is not None:
        known = grouped & (reference != UNKNOWN)
        scores |= _agreement(groups[known], reference[known])
    return scores


def stability(
    clusterer: ClusterMixin,
    points: np.ndarray,
    groups: np.ndarray,
    n_resamples: int = 20,
    fraction: float = 0.8,
    seed: int = 0,
    at_most: int = 1000,
) -> tuple[float, float]:
    """Return how like the groups are that the clusterer finds in parts of the sample: mean and standard deviation.

    Each part is drawn without replacement and grouped anew; the adjusted Rand index compares its groups with those
    that the same objects have in `groups`: 1 if the groups come back, 0 on average if they are a matter of chance.
    After Ben-Hur, Elisseeff & Guyon (2002, Pacific Symposium on Biocomputing 7, 6), who compare the parts with one
    another, and Hennig (2007, Computational Statistics & Data Analysis 52, 258), who compares each group with the
    most similar one of the part. Groups that come back need not be real: a clusterer that can only cut in one way is
    stable too.

    Parameters
    ----------
    clusterer : scikit-learn clusterer
        Cloned, with its seed.
    points : ndarray, shape (N, n)
        What it saw of the objects.
    groups : ndarray of int, shape (N,)
        What it said of them. Noise (-1) counts as a group of its own.
    n_resamples : int
        Parts drawn, at least 1.
    fraction : float
        Share of the objects in each, 0 to 1.
    seed : int
        Seed of the random draws.
    at_most : int
        The most objects in a part. A method whose answer depends on how dense the objects lie (DBSCAN, affinity
        propagation) finds other groups in a part that is much smaller than the sample.
    """
    rng = np.random.default_rng(seed)
    size = min(round(fraction * len(points)), at_most)
    agreements = []
    for _ in range(n_resamples):
        drawn = rng.choice(len(points), size, replace=False)
        agreements.append(adjusted_rand_score(groups[drawn], clone(clusterer).fit_predict(points[drawn])))
    return float(np.mean(agreements)), float(np.std(agreements))


def tree_scores(
    fits: pd.DataFrame, groups: np.ndarray, train: np.ndarray, test: np.ndarray, n_draws: int, seed: int
) -> dict[str, float]:
    """Return how much of a grouping follows from what is measured of the lines.

    A decision tree of depth 3 learns the groups from W50, S/N, flux and A_flux, all groups with the same weight, and
    tells those of objects held out. It has eight leaves, so it cannot tell more groups than that apart.

    Parameters
    ----------
    fits : DataFrame
        Table of fits, a row an object; columns without a value among the training objects are not used.
    groups : ndarray of int, shape (N,)
        Group of each object; -1 for none, which is not counted.
    train, test : ndarray of int
        Objects that the tree learns from, and objects held out.
    n_draws : int
        Permutations and bootstrap samples.
    seed : int
        Seed of tree and draws.

    Returns
    -------
    dict
        ``cluster_tree``, the balanced accuracy against the groups, with its ``low_``, ``high_``, ``chance_`` and
        ``chance95_`` as `hiexp.evaluation.scores.Scores.metrics` has them; ``cluster_tree_w50``, that of a tree of
        W50 alone, where there is one. Empty where nothing is measured, or there are no two groups to learn and tell.
    """
    train, test = train[groups[train] != UNKNOWN], test[groups[test] != UNKNOWN]
    values = fits[[*MEASURED]].astype(float).replace([np.inf, -np.inf], np.nan)
    measured = values.iloc[train].notna().any()
    if not measured.any() or min(np.unique(groups[rows]).size for rows in (train, test)) < 2:
        return {}

    def told_by(names: list[str]) -> dict[str, float]:
        tree = DecisionTreeClassifier(max_depth=DEPTH, class_weight="balanced", random_state=seed)
        known = values[names].to_numpy()
        tree.fit(known[train], groups[train])
        return score(groups[test], tree.predict(known[test]), n_draws, seed).metrics()

    every = told_by([name for name in MEASURED if measured[name]])
    prefixes = [end for end in ("", "low_", "high_", "chance_", "chance95_") if f"{end}balanced_accuracy" in every]
    scores = {f"{end}cluster_tree": every[f"{end}balanced_accuracy"] for end in prefixes}
    if measured[WIDTH]:
        scores["cluster_tree_w50"] = told_by([WIDTH])["balanced_accuracy"]
    return scores


def _separation(points: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    if not 2 <= np.unique(groups).size < len(groups):
        return {}
    return {
        "silhouette": float(silhouette_score(points, groups)),
        "davies_bouldin": float(davies_bouldin_score(points, groups)),
        "calinski_harabasz": float(calinski_harabasz_score(points, groups)),
    }


def _agreement(groups: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    if min(np.unique(groups).size, np.unique(reference).size) < 2:
        return {}
    return {
        "adjusted_rand": float(adjusted_rand_score(reference, groups)),
        "normalised_mutual_information": float(normalized_mutual_info_score(reference, groups)),
    }
