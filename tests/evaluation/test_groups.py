import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.cluster import DBSCAN, KMeans

from hiexp.evaluation.groups import group_scores, stability, tree_scores
from hiexp.evaluation.metrics import groups_of_width
from hiexp.spectra import UNKNOWN

SEPARATION = {"silhouette", "davies_bouldin", "calinski_harabasz"}
AGREEMENT = {"adjusted_rand", "normalised_mutual_information"}


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat([0, 1, 2], 40))
    return 20 * np.eye(5)[truth] + rng.normal(size=(120, 5)), truth


def test_separated_groups_that_are_the_reference(blobs):
    points, truth = blobs
    scores = group_scores(points, truth, truth)
    assert scores["n_groups"] == 3
    assert scores["n_noise"] == scores["noise_fraction"] == 0
    assert scores["adjusted_rand"] == scores["normalised_mutual_information"] == pytest.approx(1)
    assert scores["silhouette"] > 0.8
    assert scores["davies_bouldin"] < 0.3
    mixed = group_scores(points, np.arange(120) % 3, truth)
    assert mixed["adjusted_rand"] == pytest.approx(0, abs=0.05)
    assert mixed["silhouette"] < 0 < mixed["davies_bouldin"]
    assert mixed["calinski_harabasz"] < scores["calinski_harabasz"]


@given(st.permutations(range(4)), st.permutations(range(3)), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_names_of_groups_and_classes_do_not_matter(group_names, class_names, seed):
    rng = np.random.default_rng(seed)
    points, groups, reference = rng.normal(size=(40, 3)), rng.integers(-1, 4, 40), rng.integers(-1, 3, 40)
    renamed = np.where(groups == UNKNOWN, UNKNOWN, 10 + np.array(group_names)[groups])
    retitled = np.where(reference == UNKNOWN, UNKNOWN, np.array(class_names)[reference])
    scores = group_scores(points, groups, reference)
    assert scores.keys() >= SEPARATION | AGREEMENT
    assert group_scores(points, renamed, retitled) == pytest.approx(scores)


def test_noise_and_objects_without_a_class_are_counted_but_not_compared(blobs):
    points, truth = blobs
    groups, reference = truth.copy(), truth.copy()
    groups[:12], reference[100:] = UNKNOWN, UNKNOWN
    points[:12] += 1000
    reference[:12] = (truth[:12] + 1) % 3
    scores = group_scores(points, groups, reference)
    assert (scores["n_noise"], scores["noise_fraction"]) == (12, pytest.approx(0.1))
    assert scores["adjusted_rand"] == pytest.approx(1)
    assert scores["silhouette"] == pytest.approx(metrics.silhouette_score(points[12:], groups[12:]))


@pytest.mark.parametrize(
    ("groups", "n_groups"), [([UNKNOWN] * 6, 0), ([0] * 5 + [UNKNOWN], 1), ([0, 1, 2, 3, 4, 5], 6)], ids=str
)
def test_what_is_not_defined_is_absent(groups, n_groups):
    points = np.random.default_rng(0).normal(size=(6, 2))
    scores = group_scores(points, np.array(groups), np.zeros(6, dtype=int))
    assert scores.keys() == {"n_groups", "n_noise", "noise_fraction"}
    assert scores["n_groups"] == n_groups


def test_a_large_sample_is_judged_by_a_part_of_it(blobs):
    points, truth = (np.concatenate([part] * 10) for part in blobs)
    part = group_scores(points, truth, truth, seed=1, at_most=100)
    assert part == group_scores(points, truth, truth, seed=1, at_most=100)
    whole = group_scores(points, truth, truth)
    assert part["calinski_harabasz"] < whole["calinski_harabasz"] / 5  # it grows with the objects judged
    assert part["silhouette"] == pytest.approx(whole["silhouette"], abs=0.05)
    assert part["adjusted_rand"] == whole["adjusted_rand"]


def test_separated_groups_come_back_and_cuts_through_a_cloud_do_not(blobs):
    clusterer = KMeans(3, n_init=3, random_state=0)
    points, _ = blobs
    assert stability(clusterer, points, clusterer.fit_predict(points), n_resamples=5) == (1.0, 0.0)
    cloud = np.random.default_rng(0).uniform(size=(120, 10))
    cut = KMeans(4, n_init=1, random_state=0)
    mean, deviation = stability(cut, cloud, cut.fit_predict(cloud), n_resamples=10)
    assert mean < 0.7
    assert 0 < deviation < 0.5
    assert (mean, deviation) == stability(cut, cloud, cut.fit_predict(cloud), n_resamples=10)


def test_stability_leaves_the_clusterer_alone_and_keeps_to_its_limit(blobs):
    points, _ = blobs
    clusterer = KMeans(3, n_init=1, random_state=0)
    groups = clusterer.fit_predict(points)
    centres = clusterer.cluster_centers_.copy()

    sizes = []

    class Counting(KMeans):
        def fit(self, X, y=None, sample_weight=None):
            sizes.append(len(X))
            return super().fit(X, y, sample_weight)

    stability(Counting(3, n_init=1), points, groups, n_resamples=2, fraction=0.5)
    stability(Counting(3, n_init=1), points, groups, n_resamples=1, fraction=0.5, at_most=20)
    assert sizes == [60, 60, 20]
    stability(clusterer, points, groups, n_resamples=1)
    np.testing.assert_array_equal(clusterer.cluster_centers_, centres)


def test_noise_counts_as_a_group_of_its_own_in_stability(blobs):
    points, truth = blobs
    outliers = np.random.default_rng(1).uniform(-200, 200, size=(30, 5))
    points, groups = np.vstack([points, outliers]), np.concatenate([truth, np.full(30, UNKNOWN)])
    assert stability(DBSCAN(eps=5), points, groups, n_resamples=3) == (1.0, 0.0)
    joined = np.concatenate([truth, np.zeros(30, dtype=int)])
    assert stability(DBSCAN(eps=5), points, joined, n_resamples=3)[0] < 0.9


def lines(n, rng):
    columns = ("w50", "snr", "flux_int", "A_flux")
    return pd.DataFrame(rng.uniform(0, 1, (n, 4)), columns=columns)


def test_a_tree_tells_groups_of_width_by_width_alone():
    rng = np.random.default_rng(0)
    fits = lines(600, rng)
    of_width = (3 * fits["w50"]).astype(int).to_numpy()
    found = tree_scores(fits, of_width, np.arange(400), np.arange(400, 600), n_draws=50, seed=0)
    assert found["cluster_tree"] > 0.95
    assert found["cluster_tree_w50"] > 0.95
    assert found["chance_cluster_tree"] == pytest.approx(1 / 3, abs=0.05)
    assert groups_of_width(found)


def test_a_tree_does_not_take_other_groups_for_those_of_width():
    rng = np.random.default_rng(0)
    fits = lines(600, rng)
    train, test = np.arange(400), np.arange(400, 600)
    of_flux = (2 * fits["flux_int"]).astype(int).to_numpy()
    found = tree_scores(fits, of_flux, train, test, n_draws=50, seed=0)
    assert found["cluster_tree"] > 0.95
    assert not groups_of_width(found)
    by_lot = tree_scores(fits, rng.integers(3, size=600), train, test, n_draws=50, seed=0)
    assert by_lot["cluster_tree"] < 0.45
    assert not groups_of_width(by_lot)


def test_a_tree_goes_without_what_is_not_measured():
    rng = np.random.default_rng(0)
    fits = lines(300, rng)
    groups = (2 * fits["snr"].to_numpy()).astype(int)
    groups[::7] = -1  # noise
    fits.loc[::5, "snr"] = np.nan
    train, test = np.arange(200), np.arange(200, 300)
    found = tree_scores(fits.assign(w50=np.nan), groups, train, test, n_draws=20, seed=0)
    assert found["cluster_tree"] > 0.8
    assert "cluster_tree_w50" not in found
    nothing = pd.DataFrame(np.nan, fits.index, fits.columns)
    assert tree_scores(nothing, groups, train, test, n_draws=20, seed=0) == {}
    assert tree_scores(fits, np.zeros(300, int), train, test, n_draws=20, seed=0) == {}
