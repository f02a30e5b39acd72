from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from hiexp.evaluation import score

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
    shuffled = [score(rng.permutation(truth), predicted, n_draws=1, seed=0).observed[name] for _ in range(1200)]
    assert drawn.mean() == pytest.approx(np.mean(shuffled), abs=0.01)
    assert np.percentile(drawn, 95) == pytest.approx(np.percentile(shuffled, 95), abs=0.02)


def test_p_values_are_uniform_when_predictions_know_nothing():
    rng = np.random.default_rng(0)
    p_values = [
        score(rng.choice(3, 300), rng.choice(3, 300), n_draws=199, seed=draw).p_value("balanced_accuracy")
        for draw in range(400)
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
