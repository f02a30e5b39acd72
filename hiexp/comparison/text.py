"""Tables of a comparison: for the screen, as CSV, and in LaTeX for a paper."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Sequence

import numpy as np

from hiexp.comparison.runs import Comparison, Run
from hiexp.csv_tables import csv_text
from hiexp.evaluation.metrics import INNER, groups_of_width, metric, shown_in
from hiexp.printable import counted, printable

ON_SCREEN = 60  # runs in the table, or with more runs lines in all, unless more are asked for
AFTER, FEWEST = 7, 10  # lines that follow a report on the screen; runs that are shown in any case
FAILURES = 12  # named on the screen
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


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the last part of each dotted key, where no other key ends in the same."""
    ends = [key.rpartition(".")[2] for key in keys]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}


def tail(name: str) -> str:
    """Return how much of the chance distribution lies below the percentile that is kept of it."""
    return "95 %" if metric(name).greater_is_better else "5 %"


def seconds(run: Run) -> float:
    """Return what the stages took that this run computed itself; NaN where it does not say."""
    taken = [run.number(name) for name in shown_in("cost")]
    known = [value for value in taken if not math.isnan(value)]
    return sum(known) if known else math.nan


def other_scores(comparison: Comparison) -> list[str]:
    """Return the metrics of a ranking that the runs have beside the one that ranks them."""
    names = {name for run in comparison.done for name in run.metrics}
    return [name for name in shown_in("ranking") if name in names and name != comparison.measure]


def value_text(run: Run, name: str) -> str:
    """Return a run's metric for a table, with the digits of its row in the metric table."""
    return number(run.number(name), metric(name).digits)


def number(value: float, digits: int = 3) -> str:
    """Return a number for a table; empty where there is none."""
    if not math.isfinite(value):
        return ""
    if abs(value) >= 1e15:  # more digits than a number has
        return f"{value:.3e}"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.0f}"


def interval(run: Run, name: str) -> str:
    """Return the 95 % interval of a metric as ``[low, high]``; empty where the run has none."""
    low, high = run.number(f"low_{name}"), run.number(f"high_{name}")
    return f"[{number(low)}, {number(high)}]" if math.isfinite(low) and math.isfinite(high) else ""


def indistinguishable_from_best(comparison: Comparison) -> set[str]:
    """Return the names of the runs whose predictions do not differ significantly from those of the best."""
    verdict = comparison.judged()
    return (
        {row["job"] for row in verdict["configurations"] if row["indistinguishable_from_best"]} if verdict else set()
    )


def heading(comparison: Comparison) -> str:
    """Return what the table shows, in a sentence."""
    measure, done = comparison.measure, comparison.done
    order = "highest" if metric(measure).greater_is_better else "lowest"
    words = [f"{counted(len(done), 'run')} of {comparison.title}, {order} {metric(measure).title} first"]
    if metric(measure).meaning:
        words.append(f"{metric(measure).title}: {metric(measure).meaning}")
    if any(f"low_{measure}" in run.metrics for run in done):
        words.append("[ ]: 95 % interval")
    if any(f"chance_{measure}" in run.metrics for run in done):
        words.append(f"chance, {tail(measure)}: mean and percentile of the same predictions under permuted classes")
        words.append("p: share of permutations that do as well")
    if indistinguishable_from_best(comparison):
        words.append("≈: not significantly different from the best")
    return "; ".join(words)


def verdict_text(comparison: Comparison) -> str:
    """Return what the best of the sweep is worth, in sentences; empty where nobody has judged it."""
    verdict = comparison.judged()
    if not verdict:
        return ""
    best, chance, score = verdict["best"], verdict["maximum"], metric(comparison.measure).title
    n_others = len(verdict["configurations"]) - 1
    alike = sum(row["indistinguishable_from_best"] for row in verdict["configurations"]) - 1
    settings = next((run.words(comparison.axes) for run in comparison.runs if run.name == best["job"]), "")
    run = f"{best['job']}{f' ({settings})' * bool(settings)}"
    who = f"The best of {n_others + 1} configurations, run {run}, has" if n_others else f"Run {run} has"
    text = (
        f"{who} a {score} of {best['score']:.3f}. Under permuted classes "
        f"{'the best of them' if n_others else 'it'} reaches {chance['mean']:.3f} on average and "
        f"{chance['p95']:.3f} in 5 % of the draws: family-wise p = {best['p_family']:.3f}."
    )
    if n_others:
        text += (
            f" Corrected for selection bias: {best['corrected']:.3f} [{best['corrected_low']:.3f}, "
            f"{best['corrected_high']:.3f}]. {_differing(n_others - alike, n_others)} significantly from it."
        )
    of_reference = {run.settings.get("labels") for run in comparison.runs} == {"reference"}
    if comparison.controls or not of_reference:
        return text
    return (
        f"{text} A small p says that predictions and classes are related, not that the labels taught it: for that, "
        "run the same sweep with labels=random seed=1,2,... and give it to  python -m hiexp.compare --control"
    )


def search_text(comparison: Comparison) -> str:
    """Return what a search has found and what it is worth, in sentences; empty where nobody has judged it."""
    verdict, search = comparison.searched(), comparison.search
    if not verdict or not search:
        return ""
    name = search["objective"]
    title = metric(name).title
    settings = next((run.words(comparison.axes) for run in comparison.runs if run.name == verdict["job"]), "")
    interval = "" if verdict["low"] is None else f" [{verdict['low']:.3f}, {verdict['high']:.3f}]"
    text = (
        f"Of {trials_text(comparison)}, run {verdict['job']}{f' ({settings})' * bool(settings)} has the best inner "
        f"{title}, {verdict['inner']:.3f}: the score that steered the search, high by selection. On the "
        f"{verdict['n_test']} objects held out, which steered nothing, it has {verdict['score']:.3f}{interval} "
        f"(chance {verdict['chance']:.3f}, 95 %: {verdict['chance95']:.3f}, p = {verdict['p']:.3f}): this is what "
        f"it is worth. Optimism of the search: {verdict['optimism']:+.3f}. Whoever chooses another run by its score "
        "on the objects held out makes that score optimistic, too."
    )
    if verdict["n_seen"]:
        text += (
            f" But {verdict['n_seen']} of these objects have steered the search in other trials, which hold out "
            "other objects: the score may be optimistic."
        )
    return text


def trials_text(comparison: Comparison) -> str:
    """Return how many trials there were, and what came of them."""
    search = comparison.search
    states = [trial["state"] for trial in search["trials"]] if search else []
    names = {
        "complete": "complete",
        "pruned": "pruned",
        "fail": "failed",
        "interrupted": "interrupted",
        "running": "running elsewhere",
    }
    counts = [f"{states.count(state)} {words}" for state, words in names.items() if states.count(state)]
    return f"{len(states)} trial{'s' * (len(states) != 1)} ({', '.join(counts)})"


def _differing(n_differ: int, n_others: int) -> str:
    if n_others == 1:
        return "The other one differs" if n_differ else "The other one does not differ"
    return f"{n_differ or 'None'} of the other {n_others} {'differ' if n_differ > 1 else 'differs'}"


def rule(run: Run) -> str:
    """Return by what measurement, divided where, the run's objects are classified without learning."""
    column, limits = (run.settings.get(f"evaluation.yardstick.{key}", "") for key in ("column", "limits"))
    return f"{column} divided at {limits.strip('[]')}" if column and limits else "one measurement and its limits"


def yardstick_text(comparison: Comparison) -> str:
    """Return what yardsticks score on the objects of the best run, in a sentence; empty where nothing is known."""
    measure, known = comparison.measure.removeprefix(INNER), []
    for best in comparison.done[:1]:
        yardsticks = {
            "yardstick": f"{rule(best)}, nothing learned,",
            "learned_yardstick": "a regression on asymmetries",
        }
        for name, words in yardsticks.items():
            gain = f"{measure}_minus_{name}"
            names = (f"{name}_{measure}", gain, f"low_{gain}", f"high_{gain}", f"p_{gain}")
            score, mean, low, high, p = map(best.number, names)
            if all(map(math.isfinite, (score, mean, low, high, p))):
                less = f"the run minus that: {mean:+.3f} [{low:+.3f}, {high:+.3f}], p = {p:.3f}"
                known.append(f"{words} has {score:.3f} ({less})")
        if known:
            selected = len(comparison.done) > 1 and not comparison.searched()
            chosen = ", before any correction for the run's selection" * selected
            return f"On the objects of run {best.name} {' and '.join(known)}{chosen}."
    return ""


def width_text(comparison: Comparison) -> str:
    """Return of which runs W50 alone tells the groups, in a sentence; empty where there are none."""
    runs = [run for run in comparison.done if groups_of_width(run.metrics)]
    if not runs:
        return ""
    named = [
        f"{run.name} ({value_text(run, 'cluster_tree_w50')} of {value_text(run, 'cluster_tree')})" for run in runs
    ]
    return (
        "A decision tree of W50 alone tells the groups nearly as well as one of W50, S/N, flux and A_flux (balanced "
        f"accuracies on objects held out) in {'run' if len(runs) == 1 else 'runs'} {_list(named)}."
    )


def pairs_text(comparison: Comparison) -> list[str]:
    """Return the differences between the values of one key, pair by pair, a line each."""
    lines, pair = [], ""
    for row in comparison.pairs:
        if row["pair"] != pair:
            pair = row["pair"]
            lines.append(f"{pair}, {row['n']} pairs on the same splits with the same seeds:")
        lines.append(
            f"  {metric(row['score']).title:<18} {row['first']:.3f} -> {row['second']:.3f}   {row['mean']:+.3f}  "
            f"[{row['low']:+.3f}, {row['high']:+.3f}]  p {row['p']:.3f}"
        )
    return (
        [*lines, "[ ]: 95 % interval, the overlap of the splits counted in (Nadeau & Bengio 2003)"] if lines else []
    )


def failures_text(comparison: Comparison) -> list[str]:
    """Return which runs have failed or not ended, why, and with what settings, which are pruned or left out."""
    lines = []
    for run in comparison.others:
        settings = run.words(comparison.axes)
        lines.append(f"{run.state.upper()}  {run.name}  {run.reason}{f'  ({settings})' * bool(settings)}")
    if comparison.pruned:
        lines.append(f"PRUNED  {_list([run.name for run in comparison.pruned])}")
    lines = [*lines, *(f"LEFT OUT  {reason}" for reason in comparison.damaged)]
    left_out = len(lines) - FAILURES
    if left_out > 1:
        return [*lines[:FAILURES], f"... and {left_out} more, each with its error.txt in its folder"]
    return lines


def report_text(comparison: Comparison, at_most: int | None = None) -> str:
    """Return all that the screen says of a ranked comparison.

    Parameters
    ----------
    comparison : Comparison
        Ranked.
    at_most : int, optional
        Runs in the table. Where it is not given all of 60 or fewer are; of more runs as many that everything, and
        what a command says next, is 60 lines.
    """
    width = shutil.get_terminal_size((120, 24)).columns
    texts = (verdict_text, search_text, yardstick_text, control_text, width_text)
    after = [[line for text in texts for line in textwrap.wrap(text(comparison), width)]]
    after += [pairs_text(comparison), failures_text(comparison)]
    parts = [textwrap.wrap(heading(comparison), width)]
    if comparison.done:
        n_runs = at_most or ON_SCREEN
        table = screen_table(comparison, width, n_runs).splitlines()
        if at_most is None and len(comparison.done) > ON_SCREEN:
            whole = _in_parts([*parts, table, *after])
            n_runs = max(n_runs + ON_SCREEN - AFTER - len(whole), FEWEST)
            table = screen_table(comparison, width, n_runs).splitlines()
        parts.append(table)
    return "\n".join(_in_parts([*parts, *after]))


def _in_parts(parts: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with an empty one between parts."""
    return [line for part in parts if part for line in ("", *part)][1:]


def control_text(comparison: Comparison) -> str:
    """Return what the best is worth beside controls, in a sentence; empty without controls."""
    controls = comparison.controls
    if not controls:
        return ""
    n, scores, score = len(controls.scores), list(controls.scores.values()), metric(comparison.measure).title
    reached = f"{min(scores):.3f} to {max(scores):.3f} (mean {np.mean(scores):.3f})" if n > 1 else f"{scores[0]:.3f}"
    text = (
        f"Best {score} of {controls.n_configurations} configurations {controls.score:.3f}; "
        f"{n} control{'s' * (n > 1)} with random training labels: {reached}; "
        f"p = {controls.p:.3g} against the controls."
    )
    return text if n >= ENOUGH else f"{text} With {n} it is at least {1 / (1 + n):.3g}; {ENOUGH} allow 0.05."


def screen_table(comparison: Comparison, width: int, at_most: int) -> str:
    """Return the ranking in lines of at most `width` characters.

    Settings come before scores beside the one that ranks; settings that there is no room for are named.
    """
    runs, measure = comparison.done[:at_most], comparison.measure
    like, names = indistinguishable_from_best(comparison), short_names(comparison.axes)

    columns = [("run", [f"{'≈' if run.name in like else ''}{run.name}" for run in runs])]
    columns.append(
        (metric(measure).title, [f"{value_text(run, measure)} {interval(run, measure)}".strip() for run in runs])
    )
    for name, prefix in {"chance": "chance_", tail(measure): "chance95_", "p": "p_"}.items():
        columns.append((name, [number(run.number(prefix + measure)) for run in runs]))
    columns = [column for column in columns if any(column[1])]
    scores = [(metric(name).column, [value_text(run, name) for run in runs]) for name in other_scores(comparison)]
    scores.append(("seconds", [number(seconds(run), 2) for run in runs]))
    settings = [(name, [printable(run.settings.get(key, ""), CELL) for run in runs]) for key, name in names.items()]

    room = width - _width(columns)
    shown_settings, room = _fitting(settings, room)
    shown_scores, room = _fitting(scores, room)
    shown = {**dict(shown_settings), **dict(shown_scores)}
    left_out = [name for name, cells in (*settings, *scores) if name not in shown and any(cells)]
    lines = _aligned([*columns, *shown_scores], shown_settings)
    if left_out:
        lines += textwrap.wrap(f"no room for {_list(left_out)}: --csv FILE has all", width)
    if len(comparison.done) > at_most:
        all_of_them = f" or {comparison.table}" * bool(comparison.table)
        lines += [f"... and {len(comparison.done) - at_most} more: --top {len(comparison.done)}{all_of_them}"]
    return "\n".join(lines)


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
    known = {name for run in comparison.done for name in run.metrics}
    measures = [measure, *(name for name in shown_in("paper") if name in known - {measure})]
    chance, p = ([name for name in measures if f"{prefix}_{name}" in known] for prefix in ("chance", "p"))
    titles = list(names.values())
    for name in measures:
        titles += [metric(name).title, *["chance"] * (name in chance), *["$p$"] * (name in p)]
    lines = [
        f"% hiexp: {len(comparison.done)} runs of {comparison.title}; needs \\usepackage{{booktabs}}.",
        *_explained(comparison, chance),
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
                cells.append(f"{mean} ({high})" if high else mean)
            if name in p:
                cells.append(number(run.number(f"p_{name}")))
        lines.append(" & ".join(cells) + r" \\[2pt]")  # room for the ends of the intervals
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _explained(comparison: Comparison, chance: Sequence[str]) -> list[str]:
    """Return the comments that say what intervals and chance levels in the table are, where there are any."""
    lines = []
    if any(f"low_{comparison.measure}" in run.metrics for run in comparison.done):
        lines.append("% Scores with bootstrap 95 % intervals.")
    rules = sorted({rule(run) for run in comparison.done if "yardstick_balanced_accuracy" in run.metrics})
    lines += [f"% without learning: {latex_text(words)}, on the same objects." for words in rules]
    tails = " or ".join(dict.fromkeys(tail(name).removesuffix(" %") for name in chance))
    return lines + [f"% chance: mean ({tails}th percentile) under permuted classes."] * bool(chance)


def latex_text(text: str) -> str:
    """Return the text with every character that LaTeX would act on escaped."""
    return "".join(LATEX.get(sign, sign) for sign in text)


def _latex_score(run: Run, name: str) -> str:
    value, low, high = run.number(name), run.number(f"low_{name}"), run.number(f"high_{name}")
    if not math.isfinite(value):
        return "--"
    if not (math.isfinite(low) and math.isfinite(high)):
        return value_text(run, name)
    below, above = (number(reach, metric(name).digits) for reach in (value - low, high - value))
    return f"${value_text(run, name)}_{{-{below}}}^{{+{above}}}$"
