from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from hiexp.evaluation.scores import score, score_differences

labels = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        arrays(np.int64, n, elements=st.integers(0, 3)), arrays(np.int64, n, elements=st.integers(0, 3))
    )
)


@given(labels)
def test_scores_agree_with_scikit_learn(pair):
    truth, predicted = pair
    observed = score(truth, predicted, n_draws=2, seed=0).observed
    present = np.unique(truth)
    assert observed["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    # The mean recall over true classes, which balanced_accuracy_score warns about where a class is only predicted.
    recall = metrics.recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert observed["balanced_accuracy"] == pytest.approx(recall)
    assert observed["macro_f1"] == pytest.approx(metrics.f1_score(truth, predicted, average="macro", zero_division=0))


@given(labels)
def test_success_rate_is_the_best_of_all_relabelings(pair):
    truth, predicted = pair
    classes = np.union1d(truth, predicted)
    best = max(
        np.mean(np.array(relabeled)[np.searchsorted(classes, predicted)] == truth)
        for relabeled in permutations(classes)
    )
    assert score(truth, predicted, n_draws=2, seed=0).observed["success_rate"] == pytest.approx(best)


@given(labels, st.permutations(range(4)))
def test_success_rate_does_not_depend_on_the_names_of_the_classes(pair, names):
    truth, predicted = pair
    plain = score(truth, predicted, n_draws=2, seed=0).observed["success_rate"]
    renamed = score(truth, np.array(names)[predicted], n_draws=2, seed=0).observed["success_rate"]
    assert renamed == pytest.approx(plain)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1", "success_rate"])
def test_chance_is_the_distribution_under_shuffled_truth(name):
    rng = np.random.default_rng(3)
    truth, predicted = rng.choice(3, 60, p=[0.6, 0.3, 0.1]), rng.choice(3, 60, p=[0.4, 0.4, 0.2])
    drawn = score(truth, predicted, n_draws=2000, seed=0).chance[name]
    shuffled = [score(rng.permutation(truth), predicted, n_draws=1, seed=0).observed[name] for _ in range(800)]
    assert drawn.mean() == pytest.approx(np.mean(shuffled), abs=0.01)
    assert np.percentile(drawn, 95) == pytest.approx(np.percentile(shuffled, 95), abs=0.02)


def test_p_values_are_uniform_when_predictions_know_nothing():
    rng = np.random.default_rng(0)
    p_values = [
        score(rng.choice(3, 300), rng.choice(3, 300), n_draws=199, seed=draw).p_value("balanced_accuracy")
        for draw in range(250)
    ]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.08)


def test_perfect_predictions_have_the_smallest_p_value():
    truth = np.repeat([0, 1, 2], 30)
    scores = score(truth, truth, n_draws=99, seed=0)
    assert scores.observed == dict.fromkeys(scores.observed, 1.0)
    assert scores.p_value("success_rate") == pytest.approx(1 / 100)


@given(labels)
def test_every_table_drawn_holds_every_object(pair):
    scores = score(*pair, n_draws=20, seed=0)
    for drawn in scores.chance.values():
        assert np.all((drawn >= 0) & (drawn <= 1 + 1e-12))
    # A draw can be no better than the most that the class sizes allow.
    true, chosen = scores.confusion.sum(axis=1), scores.confusion.sum(axis=0)
    assert scores.chance["accuracy"].max() <= np.minimum(true, chosen).sum() / true.sum() + 1e-12


def test_one_class_only_is_no_better_than_chance():
    scores = score(np.zeros(5, int), np.zeros(5, int), n_draws=20, seed=0)
    assert scores.observed["accuracy"] == 1
    assert scores.p_value("accuracy") == 1
    assert np.all(scores.chance["success_rate"] == 1)


probabilities = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        arrays(np.int64, n, elements=st.integers(0, 2)), arrays(np.float64, (n, 3), elements=st.floats(0.01, 1))
    )
)


@given(labels)
def test_precision_and_recall_agree_with_scikit_learn(pair):
    truth, predicted = pair
    observed = score(truth, predicted, n_draws=2, seed=0).observed
    for title, function in (("precision", metrics.precision_score), ("recall", metrics.recall_score)):
        classes = np.unique(predicted if title == "precision" else truth)
        expected = function(truth, predicted, labels=classes, average=None, zero_division=0)
        found = {name: value for name, value in observed.items() if name.startswith(title)}
        assert found == pytest.approx(
            {f"{title}_{name}": value for name, value in zip(classes, expected, strict=True)}
        )


@given(probabilities)
def test_losses_agree_with_scikit_learn(pair):
    truth, weights = pair
    given_classes = weights / weights.sum(axis=1, keepdims=True)
    likeliest = given_classes.argmax(axis=1)
    observed = score(truth, likeliest, 2, 0, given_classes, np.arange(3)).observed
    assert observed["log_loss"] == pytest.approx(metrics.log_loss(truth, given_classes, labels=range(3)))
    certain = np.eye(3)[truth]
    assert observed["brier"] == pytest.approx(np.mean(np.sum((given_classes - certain) ** 2, axis=1)))
    confidence = given_classes.max(axis=1)
    error = 0
    for low in range(10):
        rows = (confidence * 10).astype(int).clip(0, 9) == low
        if rows.any():
            error += rows.mean() * abs(np.mean(likeliest[rows] == truth[rows]) - confidence[rows].mean())
    assert observed["expected_calibration_error"] == pytest.approx(error, abs=1e-12)


def test_probabilities_of_some_classes_only():
    truth = np.array([0, 1, 5, 5])
    observed = score(truth, np.array([0, 1, 0, 1]), 2, 0, np.eye(2)[[0, 1, 0, 1]], np.array([0, 1])).observed
    assert observed["brier"] == pytest.approx(1.0)  # 0 twice, and the most there is, 2, twice
    assert observed["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps) / 2)


@pytest.mark.slow
def test_draws_are_those_of_plain_loops():
    rng = np.random.default_rng(5)
    truth = rng.choice(3, 50, p=[0.6, 0.3, 0.1])
    given_classes = rng.dirichlet([1, 1, 1], 50) * 0.8 + 0.2 * np.eye(3)[truth]
    predicted, columns = given_classes.argmax(axis=1), np.arange(3)
    scores = score(truth, predicted, 2000, 0, given_classes, columns)
    again, shuffled = [], []
    for _ in range(400):
        rows = rng.integers(50, size=50)
        again.append(score(truth[rows], predicted[rows], 1, 0, given_classes[rows], columns).observed)
        shuffled.append(score(rng.permutation(truth), predicted, 1, 0, given_classes, columns).observed)
    for name in ("accuracy", "balanced_accuracy", "log_loss", "brier", "expected_calibration_error"):
        for drawn, loop in ((scores.drawn[name], again), (scores.chance[name], shuffled)):
            values = np.array([one[name] for one in loop])
            assert drawn.mean() == pytest.approx(values.mean(), abs=5 * values.std() / np.sqrt(400))
            assert drawn.std() == pytest.approx(values.std(), rel=0.2)
    assert scores.p_value("log_loss") == pytest.approx(1 / 2001)
    numbers = scores.metrics()
    assert numbers["chance95_log_loss"] < numbers["chance_log_loss"]
    assert numbers["chance95_accuracy"] > numbers["chance_accuracy"]
    assert numbers["low_accuracy"] < numbers["accuracy"] < numbers["high_accuracy"]


@pytest.mark.parametrize("truth_is", ["a third of the predictions", "independent of them"])
def test_intervals_cover_what_a_large_sample_shows(truth_is):
    rng = np.random.default_rng(6)
    joint = np.outer([0.6, 0.3, 0.1], [0.5, 0.3, 0.2])
    if truth_is.startswith("a third"):
        joint = 2 / 3 * joint + np.diag([0.6, 0.3, 0.1]) / 3
    population = {
        "success_rate": max(joint[[0, 1, 2], list(order)].sum() for order in permutations(range(3))),
        "balanced_accuracy": np.mean(np.diag(joint) / joint.sum(axis=1)),
    }
    covered = dict.fromkeys(population, 0)
    for draw in range(200):
        truth, predicted = np.divmod(rng.choice(9, 100, p=joint.ravel()), 3)
        numbers = score(truth, predicted, 400, draw).metrics()
        for name, value in population.items():
            covered[name] += numbers[f"low_{name}"] <= value <= numbers[f"high_{name}"]
    assert all(0.9 <= count / 200 <= 0.99 for count in covered.values()), covered


def test_repeats_are_averaged_and_objects_keep_theirs():
    rng = np.random.default_rng(7)
    truth = rng.choice(3, 60)
    repeats = np.where(rng.random((3, 60)) < 0.4, truth, rng.choice(3, (3, 60)))
    several = score(truth, repeats, 500, 0)
    single = [score(truth, predicted, 500, 0) for predicted in repeats]
    for name in ("accuracy", "macro_f1", "success_rate", "recall_1"):
        assert several.observed[name] == pytest.approx(np.mean([one.observed[name] for one in single]))
    np.testing.assert_array_equal(several.confusion, single[0].confusion)
    same = score(truth, repeats[[0, 0]], 500, 0)
    assert same.metrics() == pytest.approx(score(truth, repeats[0], 500, 0).metrics())


def test_many_classes_are_matched_by_assignment():
    rng = np.random.default_rng(8)
    truth = rng.integers(9, size=200)
    scores = score(truth, (truth + 4) % 9, 20, 0)
    assert (scores.observed["success_rate"], scores.observed["accuracy"]) == (1, 0)
    assert score(rng.integers(20, size=50), np.arange(50) % 20, 5, 0).observed.keys() == {
        *("accuracy", "balanced_accuracy", "macro_f1", "success_rate")
    }


def test_differences_of_many_classes_take_no_more_memory_and_time_than_objects_ask_for():
    """Of 200 classes by two classifiers there are 8,000,000 cells, and 300 objects in them."""
    rng = np.random.default_rng(5)
    truth, other = rng.integers(0, 200, (2, 300))
    predicted = np.where(rng.random(300) < 0.5, truth, other)
    difference = score_differences(truth, predicted, other, 300, 0)["accuracy"]
    hits, chance = (np.mean(one == truth) for one in (predicted, other))
    assert difference.mean == pytest.approx(hits - chance)
    assert difference.low < difference.mean < difference.high
    assert difference.p == pytest.approx(1 / 301)
