"""The scores of a sweep's configurations beside what its best would have by chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hiexp.plots.canvas import new_figure, write

if TYPE_CHECKING:
    from hiexp.evaluation import SweepVerdict

LABELLED = 120  # configurations whose names can be read
COLOURS = ("C0", "C1", "C2", "C4", "C5", "C6", "C8", "C9")


def plot_sweep(
    ranking: pd.DataFrame, verdict: SweepVerdict | None, file: Path, measure: str = "success_rate"
) -> None:
    """Draw a bar a configuration, the best on top, over the range of the sweep's maximum by chance.

    Parameters
    ----------
    ranking : DataFrame
        A row a job: ``job``, ``settings`` (words that differ between jobs), ``success_rate`` and
        ``chance95_success_rate``. Jobs without a score are left out.
    verdict : SweepVerdict or None
        On the best of the sweep; its intervals and its chance level are drawn.
    file : Path
        The PNG to write.
    """
    rows = ranking[ranking["success_rate"].notna()].sort_values("success_rate", ascending=False, kind="stable")
    n = len(rows)
    colours, legend = _colours(rows["settings"])
    height = 0.24 if n <= LABELLED else 0.05
    figure = new_figure(9, 1.6 + height * n)
    panel = figure.subplots()
    if verdict is not None:
        low, middle, high = (verdict.maximum[name] for name in ("p05", "p50", "p95"))
        panel.axvspan(low, high, color="0.85", zorder=0, label=f"best of {n} by chance, 5-95 %")
        panel.axvline(middle, color="0.55", zorder=1)
        known = verdict.configurations.set_index("job").reindex(rows["job"].astype(str))
        panel.hlines(
            range(n), known["low"], known["high"], color="0.15", linewidth=1, zorder=4, label="95 % interval"
        )
    panel.barh(range(n), rows["success_rate"], color=colours, height=0.8, alpha=0.8, zorder=2)
    chance = rows["chance95_success_rate"]
    panel.plot(chance, range(n), "|", color="0.15", markersize=9, zorder=5, label="one configuration by chance, 95 %")
    for name, colour in legend.items():
        panel.barh([np.nan], [np.nan], color=colour, label=name)
    if n <= LABELLED:
        labels = [words or job for job, words in zip(rows["job"], rows["settings"], strict=True)]
        panel.set_yticks(range(n), labels, fontsize=8)
    else:
        panel.set_yticks([])
    panel.set_ylim(n - 0.4, -0.6)
    panel.set_xlim(0, 1)
    panel.set_xlabel("success rate")
    panel.grid(axis="x", alpha=0.3)
    panel.set_title(f"{n} configurations", fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    write(figure, file)


def _colours(settings: pd.Series) -> tuple[list[str], dict[str, str]]:
    """Return a colour for each row by its first word, and which colour stands for which word."""
    first = [str(words).partition(" ")[0] for words in settings]
    names = list(dict.fromkeys(sorted(first)))
    if not 1 < len(names) <= len(COLOURS) or len(names) == len(first):  # nothing is grouped by it
        return ["C0"] * len(first), {}
    legend = dict(zip(names, COLOURS, strict=False))
    return [legend[name] for name in first], legend
