"""What a sweep says of two settings that share everything else: the difference of their scores, pair by pair."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from hiexp.summary import shown
from hiexp.sweep import METRICS_FILE

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

PAIRS_FILE = "pairs.csv"
SCORES = ("balanced_accuracy", "accuracy", "success_rate")


class PairedSweep(Callback):
    """After a sweep, compare the values of one of its keys over all that its other keys say.

    Parameters
    ----------
    key : str
        As on the command line, ``feature`` for example. Its first value is what the others are compared with.
    """

    def __init__(self, key: str) -> None:
        self.key = key

    def on_multirun_end(self, config: DictConfig, **kwargs: object) -> None:
        """Print the differences and write the scores of each pair as ``pairs.csv``."""
        folder = Path(config.hydra.sweep.dir)
        scores = paired_scores(folder, self.key)
        if scores.columns.get_level_values("value").nunique() < 2:
            log.warning("No pairs: no two jobs differ in %s alone", self.key)
            return
        scores.to_csv(folder / PAIRS_FILE)
        log.info("\n%s\npairs  %s", verdict(scores, self.key), shown(folder / PAIRS_FILE))


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
        metrics = json.loads(file.read_text())
        words = list(OmegaConf.load(file.parent / ".hydra" / "overrides.yaml"))
        own = [word for word in words if word.partition("=")[0] == key]
        if own and all(score in metrics for score in SCORES):
            share = metrics["n_test"] / (metrics["n_test"] + metrics["n_train"])
            rest = " ".join(word for word in words if word not in own)
            row = {"settings": rest, "value": own[-1].partition("=")[2], "test_share": share}
            rows.append(row | {score: metrics[score] for score in SCORES})
    table = pd.DataFrame(rows, columns=["settings", "value", "test_share", *SCORES])
    order = table["value"].unique()
    wide = table.pivot_table(index="settings", columns="value", sort=False).dropna()
    wide.columns.names = ["score", "value"]
    return wide.reindex(columns=order, level="value")


def verdict(scores: pd.DataFrame, key: str) -> str:
    """Return a few lines on the differences between the values of `key`, as `paired_scores` has them."""
    from hiexp.evaluation.pairs import paired_difference

    first, *others = scores.columns.get_level_values("value").unique()
    lines = []
    for other in others:
        lines.append(f"{key}={other} less {key}={first}, {len(scores)} pairs on the same splits with the same seeds:")
        if len(scores) < 2:
            lines.append("  an interval needs two pairs at least; add seeds or splits")
            continue
        for score in SCORES:
            difference = paired_difference(
                scores[score, first], scores[score, other], float(scores["test_share"].to_numpy().mean())
            )
            before, after = (scores[score, value].mean() for value in (first, other))
            lines.append(
                f"  {score.replace('_', ' '):<18} {before:.3f} -> {after:.3f}   {difference.mean:+.3f}  "
                f"[{difference.low:+.3f}, {difference.high:+.3f}]  p {difference.p:.3f}"
            )
    lines.append("in brackets 95 % intervals that count in how much the splits overlap (Nadeau & Bengio 2003)")
    return "\n".join(lines)
