"""What the best of a sweep is worth, from the predictions that its runs have left."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hiexp.comparison.runs import Comparison
from hiexp.errors import InputError
from hiexp.evaluation.metrics import table_scores
from hiexp.evaluation.selection import judge_sweep
from hiexp.run.files import PREDICTIONS_FILE, VERDICT_FILE
from hiexp.run.reading import read_predictions, read_verdict

log = logging.getLogger(__name__)


def with_verdict(comparison: Comparison, folder: Path, seed: int, n_draws: int = 1000) -> Comparison:
    """Return a ranked sweep with the verdict on its best, and write that as ``sweep.json``.

    Parameters
    ----------
    comparison : Comparison
        Ranked by a score of confusion tables; another one is returned as it is.
    folder : Path
        The sweep's folder, which receives the file.
    seed : int
        Seed of permutations and bootstrap samples.
    n_draws : int
        Number of each.
    """
    if comparison.measure not in table_scores():
        return comparison
    predictions = {}
    for run in comparison.done:
        file = run.file(PREDICTIONS_FILE)
        try:
            if file:
                predictions[run.name] = read_predictions(file, n_test=run.metrics.get("n_test"))
        except InputError as error:
            log.warning("Job %s is left out of the verdict: %s", run.name, error)
    return judged_by(comparison, predictions, folder / VERDICT_FILE, seed, n_draws)


def judged_by(
    comparison: Comparison,
    predictions: Mapping[str, Mapping[str, np.ndarray]],
    file: Path,
    seed: int = 0,
    n_draws: int = 1000,
) -> Comparison:
    """Return a ranked comparison with the verdict on its best, and write that into a file.

    Parameters
    ----------
    comparison : Comparison
        Ranked by a score of confusion tables.
    predictions : mapping of str to mapping of str to ndarray
        What `judge_sweep` takes, by the names of the runs.
    file : Path
        Receives the verdict, if there is one.
    seed : int
        Seed of permutations and bootstrap samples.
    n_draws : int
        Number of each.
    """
    verdict = judge_sweep(predictions, comparison.measure, n_draws, seed) if predictions else None
    if verdict is None:
        return comparison
    try:
        verdict.write(file)
    except ValueError:  # JSON has no NaN
        log.warning("No verdict on the best of the sweep: too few objects are held out to permute their classes")
        return comparison
    return replace(comparison, verdict=read_verdict(file))
