"""The score that steers a search: of an inner validation part, cut from the objects to train on.

The objects held out for the final scores take no part in it, neither in what is learned nor in what is scored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hiexp.epochs import untold
from hiexp.errors import InputError
from hiexp.evaluation.objective import objective_score
from hiexp.long_tables import write_table
from hiexp.run.files import VALIDATION_FILE
from hiexp.run.outcome import known_classes
from hiexp.spectra import UNKNOWN
from hiexp.writing import staged

if TYPE_CHECKING:
    from hiexp.evaluation.split import Division
    from hiexp.run.pipeline import EachEpoch, Learned

log = logging.getLogger(__name__)

Watch = Callable[[int, float], None]  # is told epoch and score, and may stop the trial by a `PrunedError`


def validation_score(
    objective: str,
    divisions: list[Division],
    learn: Callable[[Division, EachEpoch | None], Learned],
    ids: np.ndarray,
    reference: np.ndarray | None,
    watch: Watch | None,
    folder: Path,
) -> float:
    """Learn from each inner training part, and return the mean score on what it leaves for validation.

    Parameters
    ----------
    objective : str
        The score.
    divisions : list of Division
        Divisions of the objects to train on: their ``test`` is the validation part.
    learn : callable
        Learns from the training part of a division, and calls what it is given after each epoch.
    ids : ndarray of str, shape (N,)
        Names of all objects.
    reference : ndarray of int, shape (N,), or None
        Their reference classes; without any, what the clusterer says is true.
    watch : callable or None
        Is told the score after each epoch of the first inner training.
    folder : Path
        Receives ``validation.csv``, the predictions for the validation parts.

    Raises
    ------
    PrunedError
        If `watch` stops it.
    """
    scores, tables = [], []
    for number, division in enumerate(divisions, 1):
        each_epoch = _watched(watch, objective, division, reference) if watch and number == 1 else None
        with untold():
            learned = learn(division, each_epoch)
        rows, truth = _known(division, learned.assigned.classes if reference is None else reference)
        columns = learned.model[-1].classes_ if learned.probability is not None else None
        probability = None if learned.probability is None else learned.probability[rows]
        scores.append(objective_score(objective, truth, learned.predicted[rows], probability, columns))
        tables.append(
            pd.DataFrame(
                {
                    "id": ids[rows],
                    "repeat": number,
                    "split": "test",
                    "reference": known_classes(truth),
                    "predicted": learned.predicted[rows],
                }
            )
        )
    with staged(folder) as stage:
        write_table(pd.concat(tables, ignore_index=True), stage / VALIDATION_FILE)
    return float(np.mean(scores))


def _known(division: Division, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the validation part whose class is known, and their classes."""
    rows = division.test[truth[division.test] != UNKNOWN]
    if not rows.size:
        raise InputError("objective: no object of the validation part has a class; bring more spectra")
    return rows, truth[rows]


def _watched(watch: Watch, objective: str, division: Division, reference: np.ndarray | None) -> EachEpoch | None:
    """Return what a network calls after each epoch: it scores the validation part as far as the network has come."""
    if reference is None:  # what is true is not known before the clusterer has been there
        return None
    rows, truth = _known(division, reference)

    def each_epoch(epoch: int, classify: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
        probability, columns = classify(rows)
        predicted = columns[probability.argmax(axis=1)]
        watch(epoch, objective_score(objective, truth, predicted, probability, columns))

    return each_epoch


def check_objective(objective: str, evaluation: Mapping) -> None:
    """Raise an `InputError` where an evaluation has no inner validation part."""
    if evaluation.get("validation") is None:
        raise InputError(
            f"objective={objective}: a search holds the objects of its final score out once, so that none of them "
            "steers it in another fold; use evaluation=holdout"
        )
