"""Pictures of a comparison as PNG, for slides and for MLflow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hiexp.comparison.runs import Comparison, Run
from hiexp.comparison.text import rule
from hiexp.evaluation.metrics import metric
from hiexp.plots.figure import PAGE, class_line, class_mark, picture
from hiexp.printable import printable

DRAWN = 300  # configurations, the best
LABELLED = 120  # configurations whose names can be read
LETTERS, LETTER = 80, 0.043  # of the settings of a configuration, and their width, inches
COLOURS = ("C0", "C1", "C2", "C4", "C5", "C6", "C7", "C9")
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++", "oooo", "||||")  # of the same values, in grey
RULE = "#c2410c"
CURVE_SCORES = ("balanced_accuracy", "success_rate")
OF_CURVES = ("", "low_", "high_", "chance_", "chance95_")
CURVES = 20  # that can be told apart; the best
CURVE_LETTERS = 120  # of the settings of a curve
CHANCE = "bars: 95 % interval of one run; thin, without marks: chance (dashed) and its 95th percentile (dotted)"
TICKS = 8  # intervals between them, at most
SIZE = "test_size"
SPLIT = (SIZE, "random_state")  # what makes a split, and so no curve of its own
FEWEST_SIZES = 3  # of a curve
SHIFT = 1.015  # of the bars of a curve against those of the one before, so that they stand side by side


def draw_scores(comparison: Comparison, file: Path) -> None:
    """Draw a bar a configuration, the best on top, over the range of the sweep's maximum by chance.

    Lines are the configurations' 95 % intervals, ticks the 95th percentile of each by chance; a line across has what
    measuring without learning scores on the objects of each.

    Parameters
    ----------
    comparison : Comparison
        Ranked, by a score between 0 and 1; runs without it are left out, and those after the best 300.
    file : Path
        The PNG to write.
    """
    measure, verdict = comparison.measure, comparison.judged()
    scored = [run for run in comparison.done if math.isfinite(run.number(measure))]
    runs, n_scored = scored[:DRAWN], len(scored)
    scores, low, high, chance, ruled = (
        np.array([run.number(prefix + measure) for run in runs])
        for prefix in ("", "low_", "high_", "chance95_", "yardstick_")
    )
    n = len(runs)
    labels, line = [], 0.03  # height of a bar, inches
    if n <= LABELLED:
        labels, line = [printable(run.words(comparison.axes) or run.name, LETTERS) for run in runs], 0.15
    width = 4.2 + LETTER * max(map(len, labels), default=0)
    places, legend = _values(comparison, runs)
    with picture(file, width, 1.25 + line * n) as figure:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        if verdict:
            maximum = verdict["maximum"]
            by_chance = f"best of {n_scored} by chance, 5-95 %"
            axes.axvspan(maximum["p05"], maximum["p95"], color="0.85", zorder=0, label=by_chance)
            axes.axvline(maximum["p50"], color="0.55", zorder=1)
        if np.isfinite(low).any():
            axes.hlines(range(n), low, high, color="0.15", lw=0.8, zorder=4, label="95 % interval")
        axes.barh(range(n), scores, height=0.8, zorder=2, **_fills(places))
        if np.isfinite(ruled).any():
            rules = [rule(run) for run, value in zip(runs, ruled, strict=True) if np.isfinite(value)]
            label = f"{printable(rules[0], LETTERS)}, nothing learned"
            axes.vlines(ruled, np.arange(n) - 0.5, np.arange(n) + 0.5, color=RULE, lw=1.5, zorder=3, label=label)
        axes.plot(chance, range(n), "|", color="0.15", ms=6, zorder=5, label="one configuration by chance, 95 %")
        for place, name in enumerate(legend):
            axes.barh([np.nan], [np.nan], label=printable(name, LETTERS), **_fills([place]))
        axes.set_yticks(range(len(labels)), labels, fontsize=7)
        score = metric(measure).title
        axes.set(xlim=(0, 1), ylim=(n - 0.4, -0.6), xlabel=score)
        of_all = f"best {n} of {n_scored}" if n < n_scored else f"{n}"
        axes.set_title(f"{score.capitalize()} by configuration ({of_all})")
        axes.grid(axis="x", alpha=0.3)
        entry = 0.6 + LETTER * max(map(len, axes.get_legend_handles_labels()[1]))
        figure.legend(loc="outside lower center", ncols=max(1, min(3, int(width / entry))))


def _values(comparison: Comparison, runs: Sequence[Run]) -> tuple[list[int], list[str]]:
    """Return the place of each run's value of the first setting that differs, and these values in words."""
    first = [run.words(comparison.axes[:1]) for run in runs]
    names = sorted(set(first))
    if not 1 < len(names) <= len(COLOURS) or len(names) == len(first):  # no value has several runs
        return [0] * len(first), []
    return [names.index(name) for name in first], names


def _fills(places: Sequence[int]) -> dict[str, Any]:
    """Return colours and hatches of bars whose values have these places."""
    return {
        "color": [COLOURS[place] for place in places],
        "hatch": [HATCHES[place] for place in places],
        "edgecolor": ["0.3"] * len(places),
        "linewidth": 0.4,
        "alpha": 0.6,
    }


def draw_learning_curve(comparison: Comparison, file: Path) -> None:
    """Draw scores over the number of training objects; nothing where no three test sizes were tried.

    A line for each setting that differs beside ``test_size`` and ``random_state``, for the 20 with the best runs: the
    mean over the splits, with a bar from the mean of the lower to the mean of the upper ends of the runs' 95 %
    intervals, which is that of one run: splits share objects, so that more of them make it no narrower. Points are
    single runs. Dashed: the mean under permuted classes, dotted: the value that the best 5 % of permutations reach.

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
    ticks = _ticks(sorted({round(size) for rows in curves.values() for size in rows["n_training"]}))
    with picture(file, PAGE, 2.9 + 0.13 * len(curves)) as figure:
        figure.set_layout_engine("constrained")
        more = f", the {len(curves)} settings with the best runs" if len(curves) == CURVES else ""
        figure.suptitle(f"Scores by number of training objects{more}")
        for axes, score in zip(figure.subplots(1, 2, sharex=True), CURVE_SCORES, strict=True):
            for place, (name, rows) in enumerate(curves.items()):
                line = class_line(place)
                mean = rows.groupby("size").mean().sort_values("n_training")
                axes.plot(rows["n_training"], rows[score], ".", color=line["color"], ms=2.5, alpha=0.4)
                label = printable(name, CURVE_LETTERS) or "score"
                ends = np.abs(mean[[f"low_{score}", f"high_{score}"]].sub(mean[score], axis=0).to_numpy().T)
                size = mean["n_training"] * SHIFT ** (place - (len(curves) - 1) / 2)
                axes.errorbar(size, mean[score], ends, fmt="none", ecolor=line["color"], elinewidth=0.8, capsize=2)
                axes.plot(mean["n_training"], mean[score], marker=class_mark(place), **line, label=label)
                for chance, style in ((f"chance_{score}", "--"), (f"chance95_{score}", ":")):
                    axes.plot(mean["n_training"], mean[chance], style, color=line["color"], alpha=0.7, lw=0.7)
            axes.set(xscale="log", xlabel="training objects", ylabel=metric(score).title)
            axes.set_xticks(ticks, ticks)
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", title=CHANCE)


def _ticks(sizes: list[int]) -> list[int]:
    """Return those of ascending sizes whose numbers do not touch on a logarithmic axis."""
    ratio = (sizes[-1] / sizes[0]) ** (1 / TICKS)
    shown = sizes[:1]
    for size in sizes:
        if size > ratio * shown[-1]:
            shown.append(size)
    return shown


def _curves(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """Return the runs that share everything but their split, by what they share, where that has enough test sizes."""
    names = ["n_training", *(prefix + name for name in CURVE_SCORES for prefix in OF_CURVES)]
    others = [axis for axis in comparison.axes if axis not in SPLIT]
    rows = pd.DataFrame(
        [
            [run.words(others), run.settings[SIZE], *(run.number(name) for name in names)]
            for run in comparison.done
            if SIZE in run.settings
        ],
        columns=["curve", "size", *names],
    ).dropna(subset=[name for name in names if not name.startswith(("low_", "high_"))])
    n_sizes = rows.groupby("curve", sort=False)["size"].nunique()
    best = n_sizes.index[n_sizes >= FEWEST_SIZES][:CURVES]
    return {name: curve.drop(columns="curve") for name, curve in rows[rows["curve"].isin(best)].groupby("curve")}
