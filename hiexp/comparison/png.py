"""Pictures of a comparison as PNG, for slides and for MLflow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.comparison.runs import Comparison, Run
from hiexp.evaluation.metrics import metric
from hiexp.plots.canvas import new_figure, write

LABELLED = 120  # configurations whose names can be read
COLOURS = ("C0", "C1", "C2", "C4", "C5", "C6", "C8", "C9")
CURVE_SCORES = ("balanced_accuracy", "success_rate")
SIZE = "test_size"
SPLIT = (SIZE, "random_state")  # what makes a split, and so no curve of its own
FEWEST_SIZES = 3  # of a curve


def draw_scores(comparison: Comparison, file: Path) -> None:
    """Draw a bar a configuration, the best on top, over the range of the sweep's maximum by chance.

    Lines are the configurations' 95 % intervals, ticks the 95th percentile of each by chance.

    Parameters
    ----------
    comparison : Comparison
        Ranked, by a score between 0 and 1; runs without it are left out.
    file : Path
        The PNG to write.
    """
    measure, verdict = comparison.measure, comparison.judged()
    runs = [run for run in comparison.done if math.isfinite(run.number(measure))]
    scores, low, high, chance = (
        np.array([run.number(prefix + measure) for run in runs]) for prefix in ("", "low_", "high_", "chance95_")
    )
    n = len(runs)
    colours, legend = _colours(comparison, runs)
    figure = new_figure(9, 1.6 + (0.24 if n <= LABELLED else 0.05) * n)
    axes = figure.subplots()
    if verdict:
        maximum = verdict["maximum"]
        axes.axvspan(maximum["p05"], maximum["p95"], color="0.85", zorder=0, label=f"best of {n} by chance, 5-95 %")
        axes.axvline(maximum["p50"], color="0.55", zorder=1)
    if np.isfinite(low).any():
        axes.hlines(range(n), low, high, color="0.15", linewidth=1, zorder=4, label="95 % interval")
    axes.barh(range(n), scores, color=colours, height=0.8, alpha=0.8, zorder=2)
    axes.plot(chance, range(n), "|", color="0.15", markersize=9, zorder=5, label="one configuration by chance, 95 %")
    for name, colour in legend.items():
        axes.barh([np.nan], [np.nan], color=colour, label=name)
    if n <= LABELLED:
        axes.set_yticks(range(n), [run.words(comparison.axes) or run.name for run in runs], fontsize=8)
    else:
        axes.set_yticks([])
    axes.set_ylim(n - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel(metric(measure).title)
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(f"{n} configurations", fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    write(figure, file)


def _colours(comparison: Comparison, runs: Sequence[Run]) -> tuple[list[str], dict[str, str]]:
    """Return a colour for each run by the first setting that differs, and which colour stands for which value."""
    first = [run.words(comparison.axes[:1]) for run in runs]
    names = sorted(set(first))
    if not 1 < len(names) <= len(COLOURS) or len(names) == len(first):  # no value has several runs
        return ["C0"] * len(first), {}
    legend = dict(zip(names, COLOURS, strict=False))
    return [legend[name] for name in first], legend


def draw_learning_curve(comparison: Comparison, file: Path) -> None:
    """Draw scores over the number of training objects; nothing where no three test sizes were tried.

    A line for each setting that differs beside ``test_size`` and ``random_state``: the mean over the splits; points
    are single runs. Dashed: the mean under permuted classes, dotted: the value that the best 5 % of permutations
    reach.

    Parameters
    ----------
    comparison : Comparison
        Ranked.
    file : Path
        The PNG to write.
    """
    curves = _curves(comparison)
    if not curves:
        return
    figure = new_figure(10, 4.2)
    for axes, score in zip(figure.subplots(1, 2, sharex=True), CURVE_SCORES, strict=True):
        for number, (name, rows) in enumerate(curves.items()):
            colour = f"C{number % 10}"
            mean = rows.groupby("size").mean().sort_values("n_training")
            axes.plot(rows["n_training"], rows[score], ".", color=colour, alpha=0.4)
            axes.plot(mean["n_training"], mean[score], color=colour, label=name or "score")
            for chance, style in ((f"chance_{score}", "--"), (f"chance95_{score}", ":")):
                axes.plot(mean["n_training"], mean[chance], style, color=colour, alpha=0.7, lw=1)
        ticks = sorted({round(size) for rows in curves.values() for size in rows["n_training"]})
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(ticks, ticks)
        axes.set_xlabel("training objects")
        axes.set_ylabel(metric(score).title)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8, title="dashed: chance; dotted: its 95th percentile", title_fontsize=8)
    write(figure, file)


def _curves(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """Return the runs that share everything but their split, by what they share, where that has enough test sizes."""
    names = ["n_training", *(prefix + name for name in CURVE_SCORES for prefix in ("", "chance_", "chance95_"))]
    others = [axis for axis in comparison.axes if axis not in SPLIT]
    rows = pd.DataFrame(
        [
            [run.words(others), run.settings[SIZE], *(run.number(name) for name in names)]
            for run in comparison.done
            if SIZE in run.settings
        ],
        columns=["curve", "size", *names],
    ).dropna()
    return {
        name: curve.drop(columns="curve")
        for name, curve in rows.groupby("curve")
        if curve["size"].nunique() >= FEWEST_SIZES
    }
