import numpy as np
import pytest
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture

from hiexp.errors import InputError, NoGroupsError
from hiexp.features import RawProfile
from hiexp.labels import Assignment, ClusterLabels, RandomLabels, ReferenceLabels
from hiexp.spectra import UNKNOWN

RAMP = np.linspace(0, 1, 30)
SHAPES = np.array([RAMP, RAMP[::-1], np.sin(3 * np.pi * RAMP)])


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat([0, 1, 2], 40))
    profiles = SHAPES[truth] + rng.normal(0, 0.05, (120, 30))
    train = np.sort(rng.choice(120, 80, replace=False))
    return profiles, truth, train


def cluster_labels(clusterer, fraction=1.0, **settings):
    settings = {"at_least": 0, "resamples": 0} | settings
    return ClusterLabels(clusterer=clusterer, feature=RawProfile(), fraction=fraction, **settings)


@pytest.mark.parametrize(("n_classes", "used"), [(2, [0, 2]), (3, [0, 1, 2])])
def test_reference_classes_used(n_classes, used):
    reference = np.array([0, 1, 2, UNKNOWN, 1, 0])
    eligible = ReferenceLabels(n_classes).eligible(reference, 6)
    assert np.unique(reference[eligible]).tolist() == used


def test_classes_left_out_and_what_to_type_are_told(caplog):
    caplog.set_level("INFO")
    ReferenceLabels(3).eligible(np.array([0, 1, 2, 3, 4, UNKNOWN]), 6)
    assert caplog.messages == [
        "n_classes=3: class 1, 3 left out",
        "1 of 6 objects have no reference class and take no part",
    ]
    with pytest.raises(InputError, match="has the 2 reference classes 0, 2; add n_classes=2 to the command"):
        ReferenceLabels(3).eligible(np.array([0, 2]), 2)


@pytest.mark.parametrize("n_classes", [0, 1, 4])
def test_more_classes_than_there_are_is_an_error(n_classes):
    with pytest.raises(InputError, match=f"n_classes={n_classes}"):
        ReferenceLabels(n_classes).eligible(np.array([0, 1, 2]), 3)


@pytest.mark.parametrize("labels", [ReferenceLabels(3), RandomLabels(3, seed=0)])
def test_no_reference_is_an_error_that_says_what_to_do(labels):
    with pytest.raises(InputError, match="labels=cluster"):
        labels.eligible(None, 5)


def test_random_labels_know_nothing_and_stay_in_training(sample):
    profiles, truth, train = sample
    labels = RandomLabels(3, seed=1).assign(profiles, truth, train).classes
    assert set(labels[train]) == {0, 1, 2}
    assert np.all(np.delete(labels, train) == UNKNOWN)
    assert np.mean(labels[train] == truth[train]) < 0.5
    np.testing.assert_array_equal(labels, RandomLabels(3, seed=1).assign(profiles, truth, train).classes)


@pytest.mark.parametrize(
    "clusterer",
    [
        KMeans(3, n_init=3, random_state=0),
        GaussianMixture(3, covariance_type="diag", random_state=0),
        AgglomerativeClustering(3),
    ],
    ids=lambda clusterer: type(clusterer).__name__,
)
def test_clusters_are_named_after_the_reference(sample, clusterer):
    profiles, truth, train = sample
    labels = cluster_labels(clusterer).assign(profiles, truth, train).classes
    np.testing.assert_array_equal(labels, truth)


def test_clusters_do_not_see_what_is_held_out(sample):
    profiles, truth, train = sample
    held_out = np.delete(np.arange(120), train)
    labels = cluster_labels(KMeans(3, n_init=3, random_state=0)).assign(profiles, truth, train).classes
    spoiled, false = profiles.copy(), truth.copy()
    spoiled[held_out] = np.random.default_rng(5).normal(size=(40, 30))
    false[held_out] = 0
    again = cluster_labels(KMeans(3, n_init=3, random_state=0)).assign(spoiled, false, train).classes
    np.testing.assert_array_equal(again[train], labels[train])


def test_more_groups_than_classes_keep_names_of_their_own(sample):
    profiles, truth, train = sample
    labels = cluster_labels(KMeans(5, n_init=3, random_state=0)).assign(profiles, truth, train).classes
    assert np.unique(labels).tolist() == [0, 1, 2, 3, 4]


def test_without_a_reference_groups_are_as_the_clusterer_names_them(sample):
    profiles, _, train = sample
    clusterer = KMeans(3, n_init=3, random_state=0)
    labels = cluster_labels(clusterer).assign(profiles, None, train).classes
    np.testing.assert_array_equal(labels[train], clusterer.labels_)


def test_noise_has_no_class(sample):
    profiles, truth, train = sample
    profiles[train[0]] = np.random.default_rng(1).normal(size=30)
    labels = cluster_labels(DBSCAN(eps=0.8, min_samples=5)).assign(profiles, truth, train).classes
    assert labels[train[0]] == UNKNOWN
    assert np.mean(np.delete(labels == truth, train[0])) > 0.95


@pytest.mark.parametrize(("fraction", "members", "expected"), [(1.0, None, 3 * 23), (1.0, 10, 30), (0.5, 100, None)])
def test_an_equal_number_of_each_group_teaches(sample, fraction, members, expected):
    profiles, truth, train = sample
    clusterer = KMeans(3, n_init=3, random_state=0)
    assigned = cluster_labels(clusterer, fraction, members=members).assign(profiles, None, train)
    assert assigned.clustered.size == round(fraction * 80)
    assert np.isin(assigned.clustered, train).all()
    assert np.isin(assigned.training, assigned.clustered).all()
    _, sizes = np.unique(assigned.classes[assigned.clustered], return_counts=True)
    _, training = np.unique(assigned.classes[assigned.training], return_counts=True)
    assert set(training) == {min(*sizes, members or sizes.min())}
    if expected:
        assert assigned.training.size == expected
    # What was not clustered is placed all the same.
    np.testing.assert_array_equal(contingency_matrix(assigned.classes, truth).astype(bool).sum(axis=1), 1)


def test_the_clusterer_sees_its_share_of_the_training_objects_alone(sample):
    profiles, _, train = sample
    labels = cluster_labels(KMeans(3, n_init=3, random_state=0), 0.4, seed=3)
    clustered = labels.assign(profiles, None, train).clustered
    spoiled = profiles.copy()
    others = np.delete(np.arange(120), clustered)
    spoiled[others] = np.random.default_rng(5).normal(size=(len(others), 30))
    again = labels.assign(spoiled, None, train)
    np.testing.assert_array_equal(again.clustered, clustered)
    np.testing.assert_array_equal(again.classes[clustered], labels.clusterer.labels_)


def test_small_samples_are_grouped_whole(sample):
    profiles, _, train = sample
    labels = cluster_labels(KMeans(3, n_init=3, random_state=0), 0.25, at_least=50)
    assert labels.assign(profiles, None, train).clustered.size == 50
    np.testing.assert_array_equal(labels.assign(profiles, None, train[:30]).clustered, train[:30])


def test_groups_too_small_have_no_class(sample):
    profiles, truth, train = sample
    profiles[train[:3]] = 3 * SHAPES[1] + np.linspace(0, 5, 30) ** 2 % 3
    assigned = cluster_labels(AgglomerativeClustering(4), smallest=5).assign(profiles, truth, train)
    assert np.all(assigned.classes[train[:3]] == UNKNOWN)
    assert assigned.scores["cluster_n_groups_left_out"] == 1
    assert not np.isin(train[:3], assigned.training).any()


@pytest.mark.parametrize("fraction", [0, -0.5, 1.5])
def test_a_fraction_that_is_none_is_an_error(sample, fraction):
    profiles, truth, train = sample
    with pytest.raises(InputError, match=f"labels.fraction={fraction}"):
        cluster_labels(KMeans(3), fraction).assign(profiles, truth, train)


def test_an_assignment_is_read_as_it_was_written(sample, tmp_path):
    profiles, truth, train = sample
    written = cluster_labels(KMeans(3, random_state=0), 0.5).assign(profiles, truth, train)
    written.save(tmp_path)
    read = Assignment.load(tmp_path)
    for name in ("classes", "training", "clustered"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert read.scores == written.scores


def test_too_many_groups_is_an_error_that_names_both(sample):
    profiles, truth, train = sample
    with pytest.raises(InputError, match=r"KMeans.*80 of the 80 training profiles.*n_clusters=500"):
        cluster_labels(KMeans(500)).assign(profiles, truth, train)


def test_no_group_is_an_error_that_tells_what_was_found(sample):
    profiles, truth, train = sample
    with pytest.raises(NoGroupsError, match=r"DBSCAN found no two groups.*80 noise") as nothing:
        cluster_labels(DBSCAN(eps=1e-6)).assign(profiles, truth, train)
    assert nothing.value.scores["cluster_n_groups"] == 0
    assert nothing.value.scores["cluster_noise_fraction"] == 1
