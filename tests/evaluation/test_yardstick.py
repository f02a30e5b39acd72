"""What is compared with a classifier: a rule, a regression, and the difference on the same objects."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from hiexp.errors import InputError
from hiexp.evaluation.scores import score_differences
from hiexp.evaluation.yardstick import Thresholds, beside, regression_classes
from hiexp.spectra import UNKNOWN
from hiexp.spectral.widths import CLASS_LIMITS, asymmetry_class

RULE = Thresholds("A_flux", CLASS_LIMITS)
A_FLUX = np.array([1.0, 1.2, 1.26, 1.3, 1.39, 1.4, 3.0, 1.1])
REFERENCE = np.array([0, 0, 1, 1, 1, 2, 2, 0])
ALL = np.arange(8)

triples = st.integers(4, 40).flatmap(
    lambda n: st.tuples(*(arrays(np.int64, n, elements=st.integers(0, 2)) for _ in range(3)))
)


def test_the_default_rule_is_the_one_that_defines_the_classes():
    assert RULE.classify(A_FLUX, REFERENCE, ALL).tolist() == asymmetry_class(A_FLUX).tolist()
    backwards = Thresholds("A_flux", [1.39, 1.26])
    assert backwards.classify(A_FLUX, REFERENCE, ALL).tolist() == asymmetry_class(A_FLUX).tolist()


def test_where_the_middle_class_is_left_out_the_rest_is_divided_midway():
    kept = REFERENCE != 1
    values = np.append(A_FLUX[kept], [1.32, 1.33])
    reference = np.append(REFERENCE[kept], [0, 2])
    assert RULE.classify(values, reference, np.arange(len(values))).tolist() == [0, 0, 2, 2, 0, 0, 2]


@pytest.mark.parametrize("names", [[0, 1], [1, 2, 3], [0, 2, 4], [7, 8], [0]])
def test_other_classes_are_not_compared_and_that_is_said_once(names, caplog):
    reference = np.array(names)[np.minimum(REFERENCE, len(names) - 1)]
    with caplog.at_level(logging.INFO):
        assert RULE.classify(A_FLUX, reference, ALL) is None
    assert len(caplog.messages) == 1
    assert f"these are {', '.join(map(str, names))}" in caplog.text


def test_classes_that_do_not_rise_with_the_number_are_not_compared(caplog):
    with caplog.at_level(logging.INFO):
        assert RULE.classify(A_FLUX, 2 - REFERENCE, ALL) is None
    assert "do not rise" in caplog.text
    # Objects held out have no say in it.
    wrong = REFERENCE.copy()
    wrong[[1, 6]] = 2, 0
    assert RULE.classify(A_FLUX, wrong, np.array([0, 2, 3, 4, 5, 7])) is not None


def test_what_is_not_measured_is_of_no_class_and_wrong():
    values = A_FLUX.copy()
    values[7] = np.nan
    ruled = RULE.classify(values, REFERENCE, ALL)
    assert ruled[7] == UNKNOWN
    numbers = beside("yardstick", REFERENCE, REFERENCE, ruled, n_draws=50, seed=0)
    right = (ruled == REFERENCE).mean()
    assert numbers["yardstick_accuracy"] == pytest.approx(right)
    assert numbers["accuracy_minus_yardstick"] == pytest.approx(1 - right)
    assert RULE.classify(np.full(8, np.nan), REFERENCE, ALL) is None


def test_a_column_that_no_fit_has_is_refused_with_the_nearest():
    fits = pd.DataFrame({"A_flux": A_FLUX, "status": "ok"})
    assert RULE.values(fits) is not None
    for column, words in {"Aflux": "do you mean A_flux", "status": "evaluation.yardstick.column=status"}.items():
        with pytest.raises(InputError, match=words):
            Thresholds(column, [1.0]).values(fits)


@given(triples)
def test_scores_agree_with_scikit_learn(triple):
    truth, predicted, other = triple
    numbers = beside("yardstick", truth, predicted, other, n_draws=2, seed=0)
    present = np.unique(truth)

    def balanced(classes):
        return metrics.recall_score(truth, classes, labels=present, average="macro", zero_division=0)

    assert numbers["yardstick_accuracy"] == pytest.approx(metrics.accuracy_score(truth, other))
    assert numbers["yardstick_balanced_accuracy"] == pytest.approx(balanced(other))
    less = balanced(predicted) - balanced(other)
    assert numbers["balanced_accuracy_minus_yardstick"] == pytest.approx(less)
    assert numbers["yardstick_success_rate"] >= numbers["yardstick_accuracy"] - 1e-12


@given(triples)
def test_the_difference_turns_its_sign_with_the_two(triple):
    truth, predicted, other = triple
    forth = score_differences(truth, predicted, other, n_draws=50, seed=0)
    back = score_differences(truth, other, predicted, n_draws=50, seed=0)
    for name, difference in forth.items():
        assert difference.mean == pytest.approx(-back[name].mean)
        assert 0 < difference.p <= 1


@given(triples)
def test_identical_predictions_do_not_differ(triple):
    truth, predicted, _ = triple
    for difference in score_differences(truth, predicted, predicted, n_draws=20, seed=0).values():
        assert (difference.mean, difference.low, difference.high, difference.p) == (0, 0, 0, 1)


def test_p_of_the_accuracy_is_that_of_mcnemar():
    truth = np.zeros(40, dtype=int)
    predicted, other = truth.copy(), truth.copy()
    predicted[:3], other[3:14] = 1, 1  # 14 objects on which one of both is wrong
    difference = score_differences(truth, predicted, other, n_draws=20_000, seed=0)["accuracy"]
    assert difference.mean == pytest.approx(8 / 40)
    assert difference.p == pytest.approx(0.0574, abs=0.006)  # two-sided binomial, 3 of 14


@pytest.mark.parametrize("n_repeats", [1, 3])
def test_intervals_cover_the_difference_and_p_is_seldom_small_where_there_is_none(n_repeats):
    rng = np.random.default_rng(2)
    covered, small = 0, 0
    for _ in range(150):
        truth = rng.integers(3, size=80)
        hard = rng.random(80) < 0.5  # both are wrong more often on the same objects

        def of(wrong, shape, truth=truth, hard=hard):
            return np.where(rng.random(shape) < wrong * (1 + hard), (truth + 1) % 3, truth)

        differs = score_differences(truth, of(0.1, (n_repeats, 80)), of(0.25, 80), n_draws=200, seed=0)
        equal = score_differences(truth, of(0.2, (n_repeats, 80)), of(0.2, (n_repeats, 80)), n_draws=200, seed=0)
        covered += differs["balanced_accuracy"].low < 0.225 < differs["balanced_accuracy"].high
        small += equal["balanced_accuracy"].p <= 0.05
    assert covered >= 132
    assert small <= 15


def test_of_repeats_the_mean_counts():
    truth = np.arange(30) % 3
    repeats = np.stack([truth, (truth + 1) % 3])
    difference = score_differences(truth, repeats, truth, n_draws=20, seed=0)
    assert difference["accuracy"].mean == pytest.approx(-0.5)
    assert difference["success_rate"].mean == pytest.approx(0)  # the second repeat is right under other names


def test_the_regression_learns_from_the_training_objects_alone():
    rng = np.random.default_rng(0)
    classes = np.arange(90) % 3
    measures = rng.normal(size=(90, 4)) * [1, 1e4, 1, 1] + classes[:, None] * [4, 0, 0, 0]
    training = np.arange(60)
    told = regression_classes(measures, classes, training)
    assert (told[60:] == classes[60:]).mean() > 0.8
    other = np.where(np.arange(90) < 60, classes, 7)
    assert regression_classes(measures, other, training).tolist() == told.tolist()
