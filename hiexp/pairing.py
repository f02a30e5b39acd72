"""What a sweep says of two settings that share everything else: the difference of their scores, pair by pair."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.csv_tables import write_csv
from hiexp.errors import InputError
from hiexp.folders import METRICS_FILE, write_whole
from hiexp.run_files import read_metrics, read_overrides

if TYPE_CHECKING:
    import pandas as pd

PAIRS_FILE = "pairs.json"
SCORES = ("balanced_accuracy", "accuracy", "success_rate")


def compare_pairs(folder: Path, key: str) -> list[str]:
    """Compare the values of one key of a sweep over all that its other keys say.

    ``pairs.csv`` receives the scores, a row a pair, and ``pairs.json`` the differences, for the page.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    key : str
        As on the command line, ``feature`` for example; its first value is what the others are compared with.

    Returns
    -------
    list of str
        Lines that say the differences.
    """
    scores = paired_scores(folder, key)
    if len(scores) < 2 or scores.columns.levshape[1] < 2:
        return [f"no interval of a difference: two pairs of jobs that differ in {key} alone are needed at least", ""]
    found = list(_differences(scores, key))
    write_csv(scores, folder / "pairs.csv", index=True)
    write_whole(folder / PAIRS_FILE, json.dumps(found, indent=2))
    lines = []
    for row in found:
        if row["score"] == SCORES[0]:
            lines.append(f"{row['pair']}, {row['n']} pairs on the same splits with the same seeds:")
        lines.append(
            f"  {row['score'].replace('_', ' '):<18} {row['first']:.3f} -> {row['second']:.3f}   {row['mean']:+.3f}  "
            f"[{row['low']:+.3f}, {row['high']:+.3f}]  p {row['p']:.3f}"
        )
    return [*lines, "in brackets: 95 %, the overlap of the splits counted in (Nadeau & Bengio 2003)", ""]


def paired_scores(folder: Path, key: str) -> pd.DataFrame:
    """Return the scores of a sweep's jobs, a row for each setting of the other keys that has all values of `key`.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    key : str
        As on the command line.

    Returns
    -------
    DataFrame
        Its columns have two levels, ``score`` (with ``test_share`` among them) and ``value``, in the sweep's order.
    """
    import pandas as pd

    rows = []
    for file in sorted(folder.glob(f"*/{METRICS_FILE}"), key=lambda file: (len(file.parent.name), file.parent.name)):
        try:
            metrics, words = read_metrics(file), read_overrides(file.parent / ".hydra" / "overrides.yaml")
        except InputError:  # the end of a sweep lists such jobs as failed
            continue
        own = [word for word in words if word.partition("=")[0] == key]
        n_test, n_train = metrics.get("n_test", 0), metrics.get("n_train", 0)
        if own and n_test >= 0 and n_train > 0 and all(score in metrics for score in SCORES):
            share = n_test / (n_test + n_train)
            rest = " ".join(word for word in words if word not in own)
            row = {"settings": rest, "value": own[-1].partition("=")[2], "test_share": share}
            rows.append(row | {score: metrics[score] for score in SCORES})
    table = pd.DataFrame(rows, columns=["settings", "value", "test_share", *SCORES])
    table = table.drop_duplicates(["settings", "value"], keep="last")
    wide = table.set_index(["settings", "value"]).unstack("value").dropna()  # noqa: PD010
    columns = pd.MultiIndex.from_product([["test_share", *SCORES], table["value"].unique()], names=["score", "value"])
    return wide.reindex(columns=columns)


def _differences(scores: pd.DataFrame, key: str) -> Iterator[dict[str, object]]:
    from hiexp.evaluation.pairs import paired_difference

    share = float(scores["test_share"].to_numpy().mean())
    first, *others = scores.columns.get_level_values("value").unique()
    for other in others:
        for score in SCORES:
            before, after = scores[score, first], scores[score, other]
            difference = paired_difference(before, after, share)
            yield {
                "pair": f"{key}={other} less {key}={first}",
                "score": score,
                "first": before.mean(),
                "second": after.mean(),
                **vars(difference),
            }
