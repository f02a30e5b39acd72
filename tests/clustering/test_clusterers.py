"""Clusterers as their YAML builds them, and the guard around those that do not grow well."""

import logging

import numpy as np
import pytest
from helpers.commands import only_run
from helpers.configuration import configured
from sklearn.cluster import DBSCAN, AffinityPropagation, AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score

from hiexp.clustering import Subsampled, place
from hiexp.clustering.series import DTWKMeans, KShape
from hiexp.configs import CONFIGS
from hiexp.errors import InputError
from hiexp.features import unit_range

NAMES = [file.stem for file in sorted((CONFIGS / "clusterer").glob("*.yaml"))]
AXIS = np.linspace(-1, 1, 40)
SHAPES = np.array([AXIS, -AXIS, np.cos(3 * np.pi * AXIS)])


@pytest.fixture
def sample():
    """Return 60 profiles of three shapes and 15 more, with their shapes."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat([0, 1, 2], 25))
    profiles = unit_range(SHAPES[truth] + rng.normal(0, 0.03, (75, 40)))
    return profiles[:60], truth[:60], profiles[60:], truth[60:]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_clusterer_finds_shapes_and_places_others(sample, name):
    profiles, truth, others, their_truth = sample
    # Affinity propagation oscillates among shapes as alike as these unless it is damped.
    words = ["clusterer.clusterer.damping=0.9"] if name == "affinity_propagation" else []
    clusterer = configured("clusterer", name, *words)
    groups = clusterer.fit_predict(profiles)
    assert groups.shape == (60,)
    assert np.issubdtype(groups.dtype, np.integer)
    assert adjusted_rand_score(truth, groups) > 0.9
    assert adjusted_rand_score(their_truth, place(clusterer, profiles, groups, others)) > 0.9
    np.testing.assert_array_equal(configured("clusterer", name, *words).fit_predict(profiles), groups)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agglomerative", "spectral", "kshape", "dtw_kmeans"])
def test_the_number_of_groups_is_the_top_level_key(sample, name):
    assert np.unique(configured("clusterer", name, "n_classes=2").fit_predict(sample[0])).size == 2


def test_a_small_sample_is_left_to_the_clusterer(sample, caplog):
    caplog.set_level("INFO")
    clusterer = Subsampled(AgglomerativeClustering(3), bytes_per_pair=8)
    np.testing.assert_array_equal(clusterer.fit_predict(sample[0]), AgglomerativeClustering(3).fit_predict(sample[0]))
    assert clusterer.sampled_.tolist() == list(range(60))
    assert clusterer.n_features_in_ == 40
    assert caplog.messages == []


def test_what_a_sample_costs_is_told_before(sample, caplog):
    caplog.set_level("INFO")
    Subsampled(AgglomerativeClustering(3), bytes_per_pair=1e5, memory_gb=1).fit(sample[0])
    assert caplog.messages == ["AgglomerativeClustering on 60 objects needs up to 0.4 GB for their pairs"]


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"bytes_per_pair": 1e6, "memory_gb": 0.9}, "all need 3.6 GB, memory_gb=0.9"),
        ({"bytes_per_pair": 0, "at_most": 30}, "at_most=30"),
        ({"bytes_per_pair": 1e6, "memory_gb": 2, "at_most": 30}, "at_most=30"),
    ],
)
def test_a_large_sample_is_grouped_by_a_part_of_it(sample, caplog, limits, why):
    profiles, truth, *_ = sample
    clusterer = Subsampled(AgglomerativeClustering(3), **limits)
    groups = clusterer.fit_predict(profiles)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"AgglomerativeClustering groups a random 30 of the 60 objects ({why})" in record.message
    assert np.unique(clusterer.sampled_).size == 30
    assert adjusted_rand_score(truth, groups) == 1
    seen = AgglomerativeClustering(3).fit_predict(profiles[clusterer.sampled_])
    np.testing.assert_array_equal(groups[clusterer.sampled_], seen)


def test_the_part_is_drawn_by_the_seed(sample):
    def drawn(seed):
        return Subsampled(KMeans(3), at_most=20, seed=seed).fit(sample[0]).sampled_.tolist()

    assert drawn(0) == drawn(0) != drawn(1)


def test_others_follow_the_clusterers_own_rule_where_it_has_one(sample):
    profiles, _, others, _ = sample
    clusterer = Subsampled(AffinityPropagation(damping=0.9, random_state=0), at_most=40).fit(profiles)
    np.testing.assert_array_equal(clusterer.predict(others), clusterer.clusterer_.predict(others))
    np.testing.assert_array_equal(clusterer.predict(profiles), clusterer.labels_)


def test_noise_stays_noise_and_its_neighbours_alone_join_it():
    line = np.linspace(0, 1, 20)[:, None]
    points = np.vstack([line, [[5.0]]])
    clusterer = DBSCAN(eps=0.1, min_samples=3)
    groups = clusterer.fit_predict(points)
    assert groups.tolist() == [0] * 20 + [-1]
    others = np.array([[1.9], [3.1], [-9.0]])
    assert place(clusterer, points, groups, others).tolist() == [0, -1, 0]
    wrapped = Subsampled(clusterer)
    assert wrapped.fit_predict(points).tolist() == groups.tolist()
    assert wrapped.predict(others).tolist() == [0, -1, 0]


@pytest.mark.parametrize("limits", [{"memory_gb": 1e-9}, {"memory_gb": -1}, {"at_most": 1}])
def test_a_limit_below_two_objects_is_an_error(sample, limits):
    with pytest.raises(InputError, match=r"clusterer\.memory_gb=.* clusterer\.at_most=.*raise the limit"):
        Subsampled(KMeans(3), **limits).fit(sample[0])


@pytest.mark.slow
def test_k_shape_ignores_scale_offset_and_how_many_are_placed_at_once(sample):
    profiles, *_ = sample
    clusterer = KShape(3, random_state=0)
    groups = clusterer.fit_predict(profiles)
    np.testing.assert_array_equal(KShape(3, random_state=0).fit_predict(7 + 3 * profiles), groups)
    np.testing.assert_array_equal(clusterer.predict(profiles), groups)
    np.testing.assert_array_equal(clusterer.predict(np.tile(profiles, (9, 1))), np.tile(groups, 9))
    assert clusterer.predict(np.zeros((1, 40))).shape == (1,)


@pytest.mark.slow
def test_warping_forgives_shifts_within_the_band():
    """Two shapes, each at many positions: only what may be moved far enough is alike."""
    x = np.arange(64.0)
    centres = np.linspace(24, 40, 12)
    one = np.exp(-0.5 * ((x - centres[:, None]) / 2) ** 2)
    two = one + np.exp(-0.5 * ((x - centres[:, None] - 14) / 2) ** 2)
    truth = np.repeat([0, 1], 12)

    def agreement(radius):
        groups = DTWKMeans(2, n_bins=64, radius=radius).fit_predict(np.vstack([one, two]))
        return adjusted_rand_score(truth, groups)

    assert agreement(radius=20) == 1
    assert agreement(radius=1) < 0.5


def test_bins_are_means_of_all_samples():
    ramp = np.tile(np.arange(1000.0), (4, 1)) + np.array([[0], [0], [500], [500]])
    clusterer = DTWKMeans(2, n_bins=30, radius=1).fit(ramp)
    assert clusterer.labels_[0] == clusterer.labels_[1] != clusterer.labels_[2] == clusterer.labels_[3]
    centres = clusterer.kmeans_.cluster_centers_
    assert centres.shape == (2, 30, 1)
    assert np.sort(centres.mean(axis=(1, 2))) == pytest.approx([499.5, 999.5], abs=20)


@pytest.mark.slow
def test_the_command_groups_by_a_part_of_the_sample(hiexp_train, tmp_path):
    words = ["dataset.n_galaxies=60", "feature=raw", "labels=cluster", "clusterer=agglomerative", "tracking=none"]
    screen = hiexp_train(*words, "clusterer.at_most=30", "classifier=logistic_regression")
    assert (
        "AgglomerativeClustering groups a random 30 of the 42 objects (at_most=30)" in screen.stdout + screen.stderr
    )
    assert (only_run(tmp_path) / "model" / "pipeline.skops").is_file()


def test_as_many_objects_as_samples_are_no_affinities(recwarn):
    points = np.random.default_rng(0).random((40, 40))
    Subsampled(SpectralClustering(2, random_state=0)).fit(points)
    assert not [one for one in recwarn if "spectral" in str(one.message)]
