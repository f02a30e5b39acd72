"""Metrics of a user's own have what hiexp's own have: a value, an interval, a chance level, p."""

import sys

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, roc_auc_score

from hiexp.evaluation.metrics import metric
from hiexp.evaluation.scores import score


def classification(n=80, seed=0, right=0.7):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    predicted = np.where(rng.random(n) < right, truth, rng.integers(0, 3, n))
    probability = rng.dirichlet([1, 1, 1], n) + 2 * np.eye(3)[predicted]
    return truth, predicted, probability / probability.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_function_that_hiexp_has_too_has_the_same_value_interval_and_chance(seed):
    truth, predicted, _ = classification(seed=seed)
    metrics = score(truth, predicted, 200, seed, own={"mine": accuracy_score}).metrics()
    assert metrics["mine"] == pytest.approx(metrics["accuracy"])
    for of in ("low", "high", "chance", "chance95"):
        assert metrics[f"{of}_mine"] == pytest.approx(metrics[f"{of}_accuracy"], abs=0.06)
    assert metrics["p_mine"] == pytest.approx(metrics["p_accuracy"], abs=0.05)


def test_others_keep_their_draws():
    truth, predicted, probability = classification()
    plain = score(truth, predicted, 50, 3, probability, np.arange(3)).metrics()
    more = score(truth, predicted, 50, 3, probability, np.arange(3), {"kappa": cohen_kappa_score}).metrics()
    assert {name: more[name] for name in plain} == plain
    assert more["kappa"] == pytest.approx(cohen_kappa_score(truth, predicted))


def test_the_name_of_the_second_argument_asks_for_probabilities():
    truth, predicted, probability = classification()
    asked = {"auc": lambda y_true, y_score: roc_auc_score(y_true, y_score, multi_class="ovr")}
    metrics = score(truth, predicted, 20, 0, probability, np.arange(3), asked).metrics()
    assert metrics["auc"] == pytest.approx(roc_auc_score(truth, probability, multi_class="ovr"))
    assert metrics["chance_auc"] == pytest.approx(0.5, abs=0.05)


def test_of_repeats_the_mean_is_taken():
    truth, predicted, probability = classification()
    other = np.roll(predicted, 1)
    metrics = score(
        *(truth, np.stack([predicted, other]), 20, 0, np.stack([probability, probability]), np.arange(3)),
        {"kappa": cohen_kappa_score, "sum_of": lambda y_true, y_prob: y_prob.sum()},
    ).metrics()
    both = [cohen_kappa_score(truth, one) for one in (predicted, other)]
    assert metrics["kappa"] == pytest.approx(np.mean(both))
    assert metrics["sum_of"] == pytest.approx(len(truth))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda truth, predicted: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda truth, predicted: "high", "could not convert string to float: 'high'"),
        (lambda truth: 1.0, "it has to take two arguments"),
        (lambda truth, predicted: float("nan"), "it returns nan"),
        (lambda truth, predicted: float("inf"), "it returns inf"),
        (lambda truth, predicted: sys.exit(3), "SystemExit: 3"),
        (lambda truth, predicted: [truth.fill(0), predicted.fill(0), 1 / 0], "ZeroDivisionError"),
        (lambda truth, y_score: 1.0, "this classifier gives no class probabilities"),
    ],
)
def test_a_function_that_fails_is_left_out_with_a_warning(function, said, caplog):
    truth, predicted, _ = classification()
    metrics = score(truth, predicted, 20, 0, own={"mine": function, "kappa": cohen_kappa_score}).metrics()
    assert "mine" not in metrics
    assert metrics["kappa"] == pytest.approx(cohen_kappa_score(truth, predicted))
    assert "metrics.mine: " in caplog.text
    assert said in caplog.text


def test_draws_that_a_function_cannot_score_do_not_count():
    truth = np.array([0] * 6 + [1])

    def of_both(truth, predicted):
        if len(np.unique(truth)) < 2:
            raise ValueError("objects of one class")
        return float(np.mean(truth == predicted))

    metrics = score(truth, truth, 300, 0, own={"mine": of_both}).metrics()
    assert metrics["mine"] == 1
    assert 0.5 < metrics["chance_mine"] < 0.9


def test_p_is_of_the_draws_that_a_function_can_score():
    truth, predicted, _ = classification(right=0.0)

    def of_some(truth, predicted):
        if truth[0] == 1:
            raise ValueError("no draw of mine")
        return accuracy_score(truth, predicted)

    truth[0] = 0
    metrics = score(truth, predicted, 600, 0, own={"mine": of_some}).metrics()
    assert metrics["p_mine"] == pytest.approx(metrics["p_accuracy"], abs=0.1)
    assert metrics["p_mine"] > 0.2


def test_what_cannot_score_half_of_the_draws_has_no_chance_level(caplog):
    truth, _, _ = classification()

    def strict(truth, predicted):
        if (right := accuracy_score(truth, predicted)) < 0.9:
            raise ValueError("too few are right")
        return right

    metrics = score(truth, truth, 50, 0, own={"mine": strict}).metrics()
    assert metrics["mine"] == 1
    assert not {"chance_mine", "chance95_mine", "p_mine"} & {*metrics}
    assert "metrics.mine has a value for 0 of 50 draws alone: no chance level" in caplog.text
    assert np.isfinite([*metrics.values()]).all()


def test_of_two_classes_the_probability_is_that_of_the_second():
    truth, predicted, probability = (values[:60] % 2 for values in classification())
    probability = np.stack([1 - probability[:, 1], probability[:, 1]], axis=1)
    given = {"auc": roc_auc_score}
    metrics = score(truth, predicted, 20, 0, probability, np.arange(2), given).metrics()
    assert metrics["auc"] == pytest.approx(roc_auc_score(truth, probability[:, 1]))


def test_the_name_says_whether_less_is_better():
    truth, predicted, _ = classification()
    functions = {"my_loss": lambda y_true, y_pred: np.mean(y_true != y_pred)}
    scores = score(truth, predicted, 200, 0, own=functions)
    assert scores.p_value("my_loss") < 0.01
    assert not metric("my_error").greater_is_better
    assert not metric("chance_my_error").greater_is_better
    assert metric("my_kappa").greater_is_better
