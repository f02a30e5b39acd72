"""Tables of a comparison: for the screen, as CSV, and in LaTeX for a paper."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np

from hiexp.csv_tables import csv_text
from hiexp.runs import Comparison, Run, lower_is_better

SCORES = ("success_rate", "balanced_accuracy", "macro_f1", "accuracy", "log_loss", "agreement")
TITLES = {"balanced_accuracy": "balanced", "success_rate": "success"}  # on the screen, where room is short
STAGES = ("fit", "labels", "feature", "train", "predict")
CELL = 22  # characters of a setting on the screen
NAMED = 12  # settings that there is no room for
ENOUGH = 19  # controls that allow p = 0.05
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def title(name: str) -> str:
    """Return a metric's name as people write it."""
    return name.replace("_", " ")


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each dotted key, where no other key ends in the same."""
    ends = [key.rpartition(".")[2] for key in keys]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}


def tail(metric: str) -> str:
    """Return how much of the chance distribution lies below the percentile that is kept of it."""
    return "5 %" if lower_is_better(metric) else "95 %"


def seconds(run: Run) -> float:
    """Return what the stages took that this run computed itself; NaN where it does not say."""
    taken = [run.number(f"{stage}_seconds") for stage in STAGES]
    known = [value for value in taken if not math.isnan(value)]
    return sum(known) if known else math.nan


def other_scores(comparison: Comparison) -> list[str]:
    """Return the scores that the runs have beside the one that ranks them."""
    names = {name for run in comparison.done for name in run.metrics}
    return [name for name in SCORES if name in names and name != comparison.measure]


def number(value: float, digits: int = 3) -> str:
    """Return a number for a table; empty where there is none."""
    if not math.isfinite(value):
        return ""
    if abs(value) >= 1e15:  # more digits than a number has
        return f"{value:.3e}"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.0f}"


def interval(run: Run, metric: str) -> str:
    """Return the 95 % interval of a metric as ``[low, high]``; empty where the run has none."""
    low, high = run.number(f"low_{metric}"), run.number(f"high_{metric}")
    return f"[{number(low)}, {number(high)}]" if math.isfinite(low) and math.isfinite(high) else ""


def likes_of_the_best(comparison: Comparison) -> set[str]:
    """Return the names of the runs that cannot be told from the best by what they predicted."""
    verdict = comparison.judged()
    return {row["job"] for row in verdict["configurations"] if row["like_best"]} if verdict else set()


def heading(comparison: Comparison) -> str:
    """Return what the table shows, in a sentence."""
    measure, done = comparison.measure, comparison.done
    order = "lowest" if lower_is_better(measure) else "highest"
    words = [f"{len(done)} runs of {comparison.title}, {order} {title(measure)} first"]
    if any(f"low_{measure}" in run.metrics for run in done):
        words.append("[ ]: 95 % interval")
    if any(f"chance_{measure}" in run.metrics for run in done):
        words.append(
            f"chance, {tail(measure)}: mean and percentile of the same predictions under permuted reference classes"
        )
        words.append("p: share of permutations that do as well")
    if likes_of_the_best(comparison):
        words.append("≈: cannot be told from the best")
    return "; ".join(words)


def verdict_text(comparison: Comparison) -> str:
    """Return what the best of the sweep is worth, in a sentence; empty where nobody has judged it."""
    verdict = comparison.judged()
    if not verdict:
        return ""
    best, chance, n_all = verdict["best"], verdict["maximum"], len(verdict["configurations"])
    score = f"{title(comparison.measure)} of {best['score']:.3f}"
    like = sum(row["like_best"] for row in verdict["configurations"]) - 1
    return (
        f"The best of {n_all} configurations, {best['job']}, has a {score}. "
        f"Under permuted reference classes the best of them reaches {chance['mean']:.3f} on average and "
        f"{chance['p95']:.3f} in 5 % of the draws: family-wise p = {best['p_family']:.3f}. Corrected for the choice: "
        f"{best['corrected']:.3f} [{best['corrected_low']:.3f}, {best['corrected_high']:.3f}]. "
        f"{like} of the others cannot be told from it."
    )


def control_text(comparison: Comparison) -> str:
    """Return what the best is worth beside controls, in a sentence; empty without controls."""
    controls = comparison.controls
    if not controls:
        return ""
    n, scores = len(controls.scores), list(controls.scores.values())
    reached = f"{min(scores):.3f} to {max(scores):.3f} (mean {np.mean(scores):.3f})" if n > 1 else f"{scores[0]:.3f}"
    text = (
        f"Best {title(comparison.measure)} of {controls.n_configurations} configurations {controls.score:.3f}; "
        f"{n} control{'s' * (n > 1)} with random training labels: {reached}; "
        f"p = {controls.p:.3g} against the controls."
    )
    return text if n >= ENOUGH else f"{text} With {n} it is at least {1 / (1 + n):.3g}; {ENOUGH} allow 0.05."


def screen_table(comparison: Comparison, width: int, at_most: int) -> str:
    """Return the ranking in lines of at most `width` characters.

    Settings come before scores beside the one that ranks; settings that there is no room for are named.
    """
    runs, measure = comparison.done[:at_most], comparison.measure
    like, names = likes_of_the_best(comparison), short_names(comparison.axes)

    columns = [("run", [f"{'≈' if run.name in like else ''}{run.name}" for run in runs])]
    columns.append(
        (title(measure), [f"{number(run.number(measure))} {interval(run, measure)}".strip() for run in runs])
    )
    for name, prefix in {"chance": "chance_", tail(measure): "chance95_", "p": "p_"}.items():
        columns.append((name, [number(run.number(prefix + measure)) for run in runs]))
    columns = [column for column in columns if any(column[1])]
    scores = [
        (TITLES.get(name, title(name)), [number(run.number(name)) for run in runs])
        for name in other_scores(comparison)
    ]
    scores.append(("seconds", [number(seconds(run), 2) for run in runs]))
    settings = [(name, [_cut(run.settings.get(key, "")) for run in runs]) for key, name in names.items()]

    room = width - _width(columns)
    shown_settings, room = _fitting(settings, room)
    shown_scores, room = _fitting(scores, room)
    left_out = [name for name, _ in settings if name not in dict(shown_settings)]
    lines = _aligned([*columns, *shown_scores], shown_settings)
    if left_out:
        lines += textwrap.wrap(f"no room for {_list(left_out)}: --csv FILE has all", width)
    if len(comparison.done) > at_most:
        lines += [f"... and {len(comparison.done) - at_most} more: --top {len(comparison.done)}"]
    return "\n".join(lines)


def _cut(text: str) -> str:
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


def _list(names: Sequence[str]) -> str:
    """Return the names in a sentence, of many the first."""
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join([*names[:NAMED], *more])


def _width(columns: Sequence[tuple[str, list[str]]]) -> int:
    return sum(2 + max(map(len, [name, *cells])) for name, cells in columns)


def _fitting(columns: Sequence[tuple[str, list[str]]], room: int) -> tuple[list, int]:
    """Return the columns there is room for, and the room that is left."""
    shown = []
    for column in columns:
        if _width([column]) <= room:
            shown.append(column)
            room -= _width([column])
    return shown, room


def _aligned(numbers: Sequence[tuple[str, list[str]]], words: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Return the lines of a table: numbers to the right, words to the left."""
    table = [[name, *cells] for name, cells in (*numbers, *words)]
    widths = [max(map(len, column)) for column in table]
    return [
        "".join(
            f"  {cell.rjust(width) if place < len(numbers) else cell.ljust(width)}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in zip(*table, strict=True)
    ]


def csv_table(comparison: Comparison) -> str:
    """Return a row a run, in the order of the ranking: state, settings that differ, every metric, command, folder."""
    axes = comparison.axes
    metrics = list(dict.fromkeys(name for run in comparison.runs for name in run.metrics))
    rows: list[Sequence[object]] = [["run", "state", *axes, *metrics, "command", "folder"]]
    for run in comparison.runs:
        numbers = ["" if math.isnan(run.number(name)) else run.metrics[name] for name in metrics]
        settings = [run.settings.get(key, "") for key in axes]
        rows.append([run.name, run.state, *settings, *numbers, run.command, run.folder])
    return csv_text(rows)


def latex_table(comparison: Comparison) -> str:
    r"""Return a booktabs ``tabular``: settings that differ, scores with their 95 % intervals and chance levels.

    Needs ``\usepackage{booktabs}``. Every text is escaped.
    """
    names, measure = short_names(comparison.axes), comparison.measure
    measures = [measure, *[name for name in other_scores(comparison) if name == "balanced_accuracy"]]
    chance = [name for name in measures if any(f"chance_{name}" in run.metrics for run in comparison.done)]
    titles = list(names.values())
    for name in measures:
        titles += [title(name), *(["chance", "$p$"] if name in chance else [])]
    lines = [
        f"% hiexp: {len(comparison.done)} runs of {comparison.title}; needs \\usepackage{{booktabs}}.",
        "% Scores with bootstrap 95 % intervals; chance: mean (95th percentile) under permuted reference classes.",
        f"\\begin{{tabular}}{{{'l' * len(names)}{'c' * (len(titles) - len(names))}}}",
        r"\toprule",
        " & ".join(text if text == "$p$" else latex_text(text) for text in titles) + r" \\",
        r"\midrule",
    ]
    for run in comparison.done:
        cells = [latex_text(run.settings.get(key, "")) for key in names]
        for name in measures:
            cells.append(_latex_score(run, name))
            if name in chance:
                mean, high = number(run.number(f"chance_{name}")), number(run.number(f"chance95_{name}"))
                cells += [f"{mean} ({high})" if high else mean, number(run.number(f"p_{name}"))]
        lines.append(" & ".join(cells) + r" \\[2pt]")  # room for the ends of the intervals
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def latex_text(text: str) -> str:
    """Return the text with every character that LaTeX would act on escaped."""
    return "".join(LATEX.get(sign, sign) for sign in text)


def _latex_score(run: Run, metric: str) -> str:
    value, low, high = run.number(metric), run.number(f"low_{metric}"), run.number(f"high_{metric}")
    if not math.isfinite(value):
        return "--"
    if not (math.isfinite(low) and math.isfinite(high)):
        return number(value)
    return f"${number(value)}_{{-{number(value - low)}}}^{{+{number(high - value)}}}$"
