"""Two values of one setting where all else is the same: the difference of their scores, pair by pair."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from hiexp.comparison.runs import Comparison
from hiexp.csv_tables import write_csv
from hiexp.evaluation.metrics import shown_in
from hiexp.evaluation.pairs import paired_difference
from hiexp.printable import natural_order
from hiexp.run.files import PAIRED_SCORES_FILE, PAIRS_FILE
from hiexp.run.reading import read_pairs
from hiexp.writing import write_whole

log = logging.getLogger(__name__)


def with_pairs(comparison: Comparison, key: str, folder: Path) -> Comparison:
    """Return the comparison with the differences between the values of one key, over all that the other keys say.

    ``pairs.csv`` receives the scores, a row a pair, and ``pairs.json`` the differences.

    Parameters
    ----------
    comparison : Comparison
        A ranked sweep.
    key : str
        As on the command line, ``feature`` for example; its first value is what the others are compared with.
    folder : Path
        The sweep's folder, which receives the files.

    Returns
    -------
    Comparison
        Without pairs where fewer than two pairs of runs differ in `key` alone.
    """
    scores = paired_scores(comparison, key)
    if len(scores) < 2 or scores.columns.levshape[1] < 2:
        log.warning("No differences by %s: they take two pairs of jobs that differ in it alone", key)
        return comparison
    write_csv(scores, folder / PAIRED_SCORES_FILE, index=True)
    write_whole(folder / PAIRS_FILE, json.dumps([*_differences(scores, key)], indent=2))
    return replace(comparison, pairs=read_pairs(folder / PAIRS_FILE))


def paired_scores(comparison: Comparison, key: str) -> pd.DataFrame:
    """Return the scores of the runs, a row for each setting of the other keys that has all values of `key`.

    Parameters
    ----------
    comparison : Comparison
        A ranked sweep.
    key : str
        As on the command line.

    Returns
    -------
    DataFrame
        Its columns have two levels, ``score`` (with ``test_share`` among them) and ``value``, in the sweep's order.
    """
    names, others, rows = [*shown_in("pairs")], [axis for axis in comparison.axes if axis != key], []
    for run in sorted(comparison.done, key=lambda run: natural_order(run.name)):
        n_test, n_train = run.metrics.get("n_test", 0), run.metrics.get("n_train", 0)
        if key in run.settings and n_test >= 0 and n_train > 0 and all(name in run.metrics for name in names):
            share = n_test / (n_test + n_train)
            rows.append([run.words(others), run.settings[key], share, *(run.metrics[name] for name in names)])
    table = pd.DataFrame(rows, columns=["settings", "value", "test_share", *names])
    table = table.drop_duplicates(["settings", "value"], keep="last")
    wide = table.set_index(["settings", "value"]).unstack("value").dropna()  # noqa: PD010
    columns = pd.MultiIndex.from_product([["test_share", *names], table["value"].unique()], names=["score", "value"])
    return wide.reindex(columns=columns)


def _differences(scores: pd.DataFrame, key: str) -> Iterator[dict[str, object]]:
    share = float(scores["test_share"].to_numpy().mean())
    first, *others = scores.columns.get_level_values("value").unique()
    for other in others:
        for name in shown_in("pairs"):
            before, after = scores[name, first], scores[name, other]
            yield {
                "pair": f"{key}={other} less {key}={first}",
                "score": name,
                "first": before.mean(),
                "second": after.mean(),
                **vars(paired_difference(before, after, share)),
            }
