"""What a search has found is worth: the score that steered it, and that of objects which took no part in it."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from hiexp.comparison.runs import Comparison, Run
from hiexp.errors import InputError
from hiexp.evaluation.metrics import metric, table_scores
from hiexp.evaluation.selection import best_so_far_by_chance
from hiexp.run.files import PREDICTIONS_FILE, SEARCH_FILE, VALIDATION_FILE
from hiexp.run.reading import read_predictions, read_search
from hiexp.writing import write_whole

log = logging.getLogger(__name__)

COLUMNS = ("id", "split", "reference", "predicted")


def with_search_verdict(comparison: Comparison, folder: Path, seed: int, n_draws: int = 1000) -> Comparison:
    """Return a ranked search with what its chosen configuration is worth, and write that into ``search.json``.

    The chosen one has the best inner score. That score is high by selection; the same configuration's score on the
    objects held out, which steered nothing, is not, and the difference is the optimism of the search. Interval,
    chance and p of the latter are those of the run itself: one configuration, chosen without these objects.

    Parameters
    ----------
    comparison : Comparison
        Ranked by the objective; with its `search`.
    folder : Path
        The sweep's folder.
    seed : int
        Seed of the permutations.
    n_draws : int
        Permutations of the classes for the chance of the best so far.
    """
    search = comparison.search
    if search is None or not comparison.done:
        return comparison
    name, chosen = search["objective"], comparison.done[0]
    numbers = [
        chosen.number(key) for key in (comparison.measure, name, f"chance_{name}", f"chance95_{name}", f"p_{name}")
    ]
    if not all(map(math.isfinite, numbers)):
        log.warning("No verdict on the search: run %s has no %s on objects held out", chosen.name, metric(name).title)
        return comparison
    inner, score, chance, chance95, p = numbers
    sign = 1 if metric(name).greater_is_better else -1
    low, high = (_known(chosen.number(f"{end}_{name}")) for end in ("low", "high"))
    ends = [None, None] if low is None or high is None else sorted(sign * (inner - end) for end in (low, high))
    validated = _validated(comparison)
    verdict = {
        "job": chosen.name,
        "inner": inner,
        "score": score,
        "low": low,
        "high": high,
        "chance": chance,
        "chance95": chance95,
        "p": p,
        "n_test": int(chosen.number("n_test")),
        "n_seen": _n_seen(chosen, validated),
        "optimism": sign * (inner - score),
        "optimism_low": ends[0],
        "optimism_high": ends[1],
        "band": _band(comparison, validated, n_draws, seed),
    }
    write_whole(folder / SEARCH_FILE, json.dumps(search | {"verdict": verdict}, indent=1, allow_nan=False))
    return replace(comparison, search=read_search(folder / SEARCH_FILE))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _validated(comparison: Comparison) -> dict[str, dict[str, np.ndarray]]:
    """Return the predictions for the validation parts, by run."""
    tables = {}
    for run in comparison.done:
        file = run.file(VALIDATION_FILE)
        try:
            if file:
                tables[run.name] = read_predictions(file, COLUMNS)
        except InputError as error:
            log.warning("Job %s is left out of the chance of the search: %s", run.name, error)
    return tables


def _n_seen(chosen: Run, validated: dict[str, dict[str, np.ndarray]]) -> int:
    """Return how many objects that the chosen configuration is scored on have steered the search after all."""
    file = chosen.file(PREDICTIONS_FILE)
    if not file:
        return 0
    table = read_predictions(file, ("id", "split"))
    own = set(table["id"][table["split"] == "test"])
    return len(own & {name for other in validated.values() for name in other["id"]})


def _band(
    comparison: Comparison, validated: dict[str, dict[str, np.ndarray]], n_draws: int, seed: int
) -> dict[str, list[float]] | None:
    """Return percentiles of the best so far under permuted classes, a number a trial; None where there are none."""
    search = comparison.search
    if search is None or search["objective"] not in table_scores():
        return None
    order = [trial["job"] for trial in search["trials"] if trial["job"] in validated]
    if not order:
        return None
    best = best_so_far_by_chance({job: validated[job] for job in order}, search["objective"], n_draws, seed)
    if best is None:
        return None
    places = np.cumsum([trial["job"] in validated for trial in search["trials"]]) - 1
    percentiles = np.percentile(best, [5, 50, 95], axis=0)[:, np.maximum(places, 0)]
    return dict(zip(("p05", "p50", "p95"), percentiles.tolist(), strict=True))
