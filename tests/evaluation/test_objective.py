"""What a search is after."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

from hiexp.errors import InputError
from hiexp.evaluation.metrics import metric
from hiexp.evaluation.objective import objective_score


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_objectives_are_those_of_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    assert objective_score("accuracy", truth, predicted) == pytest.approx(accuracy_score(truth, predicted))
    recalls = [np.mean(predicted[truth == name] == name) for name in np.unique(truth)]
    assert objective_score("balanced_accuracy", truth, predicted) == pytest.approx(np.mean(recalls))


def test_probabilities_are_scored_where_there_are_any():
    truth, probability = np.array([0, 1, 1]), np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    found = objective_score("log_loss", truth, probability.argmax(axis=1), probability, np.array([0, 1]))
    assert found == pytest.approx(log_loss(truth, probability))
    with pytest.raises(InputError, match="objective=log_loss: this classifier gives no class probabilities"):
        objective_score("log_loss", truth, truth)


def test_an_inner_score_is_ranked_as_the_score_that_it_is():
    assert metric("inner_balanced_accuracy").title == "inner balanced accuracy"
    assert metric("inner_balanced_accuracy").greater_is_better
    assert not metric("inner_log_loss").greater_is_better
