"""What a search is after: one score of predictions for objects that were set aside within the training part."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hiexp.errors import InputError
from hiexp.evaluation.calibration import Probabilities
from hiexp.evaluation.metrics import table_scores

OF_PROBABILITIES = ("log_loss", "brier")
Objective = Literal["balanced_accuracy", "accuracy", "macro_f1", "success_rate", "log_loss", "brier"]


def objective_score(
    objective: str,
    truth: np.ndarray,
    predicted: np.ndarray,
    probability: np.ndarray | None = None,
    columns: np.ndarray | None = None,
) -> float:
    """Return one score of a classification.

    Parameters
    ----------
    objective : str
        One of `Objective`.
    truth, predicted : ndarray of int, shape (N,)
        Classes.
    probability : ndarray, shape (N, C), optional
        Class probabilities, where there are any.
    columns : ndarray of int, shape (C,), optional
        The classes they are of.

    Raises
    ------
    InputError
        If the score is one of probabilities, and there are none.
    """
    if objective in OF_PROBABILITIES:
        if probability is None or columns is None:
            raise InputError(
                f"objective={objective}: this classifier gives no class probabilities; choose another classifier, or "
                f"one of {', '.join(table_scores())}"
            )
        return Probabilities.of(truth, probability, columns).observed()[objective]
    classes = np.union1d(truth, predicted)
    table = np.zeros((classes.size, classes.size))
    np.add.at(table, (np.searchsorted(classes, truth), np.searchsorted(classes, predicted)), 1)
    return float(table_scores()[objective](table))
