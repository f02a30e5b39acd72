"""One page of a comparison, complete in itself: nothing has to be fetched, and it reads without JavaScript."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from PIL import Image

from hiexp.comparison.explorer import explorer
from hiexp.comparison.runs import Comparison, Run
from hiexp.comparison.svg import AT_MOST, draw_importances, draw_lines, draw_ranking, draw_search
from hiexp.comparison.text import (
    control_text,
    heading,
    indistinguishable_from_best,
    interval,
    number,
    other_scores,
    rule,
    search_text,
    seconds,
    short_names,
    tail,
    trials_text,
    value_text,
    verdict_text,
    width_text,
    yardstick_text,
)
from hiexp.errors import InputError
from hiexp.evaluation.metrics import INNER, metric, shown_in
from hiexp.printable import counted, duration, natural_order, printable
from hiexp.run.files import CLASSES_PICTURE, PARAMETERS_PICTURE, PREDICTIONS_FILE
from hiexp.run.reading import read_picture, read_predictions
from hiexp.writing import write_named

PICTURES = {  # of each run, where it has them
    CLASSES_PICTURE: "profiles of each predicted class",
    PARAMETERS_PICTURE: "catalogue parameters of each class",
}
STRENGTH = "epsilon2_"
COLOURS, BROADEST = 32, 900  # of an embedded picture, the latter in pixels
IN_PAGE = 300  # runs, the best, unless more are asked for
BUDGET, BUDGET_OF_MANY = 4_000_000, 700_000  # bytes of pictures in a page; in one that leaves runs out
LARGEST_PAGE, EXPLORER = 8_000_000, "<!--explorer-->"  # bytes with the objects of the best run, and where these are
MOST_PIXELS = 2**26
INDENT = re.compile(r"\n\s+")  # a tenth of a page
MATRICES, CLASSES = 6, 12  # confusion matrices side by side; classes in one of them
ROWS, COLUMNS = 40, 14  # of a heat map


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, what it is sorted by, how dark its ground is (0 to 1), and its style."""

    text: str
    value: str = ""
    shade: float = 0.0
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table with a row a run."""

    title: str
    style: str
    cells: list[Cell]


@dataclass(frozen=True)
class Grid:
    """A table with headings on two sides that may be nested.

    Attributes
    ----------
    corner : list of str
        Titles of the columns of row headings.
    columns : list of (name, list of (label, span))
        A line of headings for each setting that goes across.
    rows : list of (list of (label, span), list of Cell)
        Row headings that start in a row, and its cells.
    """

    corner: list[str]
    columns: list[tuple[str, list[tuple[str, int]]]]
    rows: list[tuple[list[tuple[str, int]], list[Cell]]] = field(default_factory=list)


def write_page(comparison: Comparison, file: Path, at_most: int | None = None) -> Path:
    """Write the page of a ranked comparison and return its path.

    Pictures of the runs are embedded in few colours, the best runs first, until they take 4 MB, or 0.7 MB in a page
    that has not all of the runs; the page says where those of the others lie. What is left to 8 MB is for the objects
    of the best run (`hiexp.comparison.explorer`).

    Parameters
    ----------
    comparison : Comparison
        Ranked.
    file : Path
        The page.
    at_most : int, optional
        Runs with a row; the best 300 where it is not given. Numbers of all runs together are of all of them.
    """
    shown = comparison.best(at_most or IN_PAGE)
    runs, measure, names = shown.done, comparison.measure, short_names(comparison.axes)
    n_more = len(comparison.done) - len(runs)
    grid, groups, strengths = None if comparison.search else heat_map(comparison), _groups(runs), _strengths(runs)
    left, details = BUDGET_OF_MANY if n_more else BUDGET, []
    with ThreadPoolExecutor() as threads:  # Pillow computes without the interpreter's lock
        for run in runs:
            damaged: list[str] = []
            pictures = _pictures(run, threads, damaged) if left > 0 else []
            left -= sum(len(url) for url, _ in pictures)
            details.append(_detail(run, pictures, damaged))
    templates = Environment(
        loader=PackageLoader("hiexp.comparison"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates.policies["json.dumps_kwargs"] = {"sort_keys": False}  # Bokeh reads its JSON in the order it was written
    text = templates.get_template("report.html").render(
        comparison=comparison,
        measure=metric(measure).title,
        heading=heading(comparison),
        like=indistinguishable_from_best(comparison),
        failed=comparison.others[:IN_PAGE],
        n_more=n_more,
        n_drawn=AT_MOST,
        chance=any(f"chance_{measure}" in run.metrics for run in runs),
        tail=tail(measure).removesuffix(" %"),
        facts=_facts(comparison),
        ranking=draw_ranking(comparison),
        search=draw_search(comparison),
        importances=draw_importances(comparison),
        searched=search_text(comparison),
        trials=trials_text(comparison),
        pruned=comparison.pruned[:IN_PAGE],
        verdict=verdict_text(comparison),
        beside=yardstick_text(comparison),
        yardstick=next((rule(run) for run in runs if math.isfinite(run.number(f"yardstick_{measure}"))), ""),
        control=control_text(comparison),
        intervals=any(interval(run, measure) for run in runs),
        grid=grid,
        lines="" if grid else draw_lines(comparison),
        columns=_columns(shown, names),
        runs=details,
        n_without=sum(detail["left_out"] for detail in details),
        matrices=[detail for detail in details if detail["matrix"]][:MATRICES],
        groups=[*_settings(runs, names), *groups, *strengths] if groups or strengths else [],
        n_strengths=len(strengths),
        clustered=bool(groups),
        tree=any("cluster_tree" in run.metrics for run in runs),
        width=width_text(comparison),
        cost=_cost(comparison.done),
    )
    objects = explorer(comparison, templates, LARGEST_PAGE - len(text.encode()))
    text = text.replace(EXPLORER, objects, 1)  # nothing from outside has its angle brackets
    write_named(file, INDENT.sub("\n", text))
    return file


def _facts(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return what to know first: a title, a number, and what it means."""
    runs, measure = comparison.done, comparison.measure
    if not runs:
        return []
    best, verdict = runs[0], comparison.judged()
    facts = [
        (f"best {metric(measure).title}", value_text(best, measure), f"run {best.name} {interval(best, measure)}")
    ]
    if verdict:
        chance, won = verdict["maximum"], verdict["best"]
        many = len(verdict["configurations"])
        facts += [
            (f"best of {many} by chance", number(chance["mean"]), f"95th percentile {number(chance['p95'])}"),
            ("family-wise p", number(won["p_family"]), f"of the best, among {many}"),
            (
                "corrected for selection bias",
                number(won["corrected"]),
                f"[{number(won['corrected_low'])}, {number(won['corrected_high'])}]",
            ),
            (
                "no significant difference",
                str(sum(row["indistinguishable_from_best"] for row in verdict["configurations"]) - 1),
                f"of the other {many - 1} from the best",
            ),
        ]
    elif searched := comparison.searched():
        name = comparison.measure.removeprefix(INNER)
        facts += [
            (
                "the same on objects held out",
                number(searched["score"]),
                f"{interval(best, name)} {metric(name).title}, nothing chosen by it",
            ),
            ("by chance", number(searched["chance"]), f"95th percentile {number(searched['chance95'])}"),
            ("p", number(searched["p"]), f"of {searched['n_test']} objects held out"),
            ("optimism of the search", f"{searched['optimism']:+.3f}", "the first minus the second"),
        ]
    elif math.isfinite(best.number(f"chance_{measure}")):
        mean, high, p = (number(best.number(f"{prefix}_{measure}")) for prefix in ("chance", "chance95", "p"))
        facts.append(("that run by chance", mean, f"{tail(measure).removesuffix(' %')}th percentile {high}, p = {p}"))
    ruled = f"yardstick_{measure.removeprefix(INNER)}"
    if math.isfinite(best.number(ruled)):
        facts.append(("without learning", value_text(best, ruled), f"{rule(best)}, the same objects"))
    for row in comparison.pairs[:1]:
        interval_of_pairs = f"[{row['low']:+.3f}, {row['high']:+.3f}], {metric(row['score']).title}, {row['n']} pairs"
        facts.append((row["pair"], f"{row['mean']:+.3f}", interval_of_pairs))
    total = sum(value for value in map(seconds, runs) if not math.isnan(value))
    facts.append(("computing", duration(total), f"{counted(len(runs), 'run')}, without what they shared"))
    return facts


def _settings(runs: Sequence[Run], names: Mapping[str, str]) -> list[Column]:
    return [
        Column(
            name,
            "words",
            [Cell(value, value, style="words") for value in (run.settings.get(key, "") for run in runs)],
        )
        for key, name in names.items()
    ]


def _metric(runs: Sequence[Run], name: str, heading: str = "", style: str = "") -> Column:
    """Return the column of a metric, under its own name unless another heading is given."""
    known = metric(name)
    cells = [_number_cell(run.number(name), known.digits, style) for run in runs]
    return Column(heading or known.column, style, cells)


def _filled(columns: Iterable[Column]) -> list[Column]:
    """Return the columns that some run has anything in."""
    return [column for column in columns if any(cell.text for cell in column.cells)]


def _columns(comparison: Comparison, names: Mapping[str, str]) -> list[Column]:
    """Return the columns of the ranking."""
    runs, measure = comparison.done, comparison.measure
    lows = [_number_cell(run.number(f"low_{measure}")).value for run in runs]
    intervals = [Cell(interval(run, measure), low) for run, low in zip(runs, lows, strict=True)]
    return _filled(
        [
            _metric(runs, measure, metric(measure).title, "score"),
            Column("95 % interval", "", intervals),
            *_settings(runs, names),
            _metric(runs, f"chance_{measure}", "chance"),
            _metric(runs, f"chance95_{measure}", f"{tail(measure)} of chance"),
            _metric(runs, f"p_{measure}", "p"),
            *(_metric(runs, name) for name in other_scores(comparison)),
            Column("seconds", "", [_number_cell(seconds(run), 2) for run in runs]),
            _metric(runs, "peak_memory_mb"),
        ]
    )


def _number_cell(value: float, digits: int = 3, style: str = "", shaded: bool = False) -> Cell:
    known = math.isfinite(value)
    return Cell(number(value, digits), repr(float(value)) if known else "", value if shaded and known else 0.0, style)


def _detail(run: Run, pictures: list[tuple[str, str]], damaged: list[str]) -> dict:
    try:
        matrix = confusion(run)
    except InputError as error:
        matrix = None
        damaged.append(printable(str(error)))
    scores = [
        (
            known.title,
            [value_text(run, name), interval(run, name)]
            + [number(run.number(f"{prefix}_{name}")) for prefix in ("chance", "chance95", "p")],
        )
        for name, known in shown_in("run").items()
        if math.isfinite(run.number(name))
    ]
    rows = []
    for yardstick, words in {"yardstick": rule(run), "learned_yardstick": "regression on asymmetries"}.items():
        for name, known in shown_in("yardstick").items():
            own, gain = f"{yardstick}_{name}", f"{name}_minus_{yardstick}"
            numbers = [value_text(run, own), interval(run, own), value_text(run, gain), interval(run, gain)]
            if math.isfinite(run.number(own)):
                rows.append((words, known.title, [*numbers, number(run.number(f"p_{gain}"))]))
    stages = {known.title: value_text(run, name) for name, known in shown_in("cost").items()}
    return {
        "name": run.name,
        "command": run.command,
        "folder": run.folder,
        "scores": scores,
        "beside": rows,
        "stages": [(stage, taken) for stage, taken in stages.items() if taken],
        "memory": value_text(run, "peak_memory_mb"),
        "matrix": matrix,
        "pictures": pictures,
        "damaged": damaged,
        "left_out": not pictures and not damaged and any(run.file(name) for name in PICTURES),
    }


def _pictures(run: Run, threads: ThreadPoolExecutor, damaged: list[str]) -> list[tuple[str, str]]:
    """Return the run's pictures as URLs that hold them, each with what it shows; those that are none are noted."""
    files = {words: file for name, words in PICTURES.items() if (file := run.file(name))}
    drawn = [(threads.submit(embedded, file), words) for words, file in files.items()]
    pictures = []
    for url, words in drawn:
        try:
            pictures.append((url.result(), words))
        except InputError as error:
            damaged.append(printable(str(error)))
    return pictures


def embedded(picture: Path) -> str:
    """Return the picture in few colours, which a page of many pictures can afford.

    Raises
    ------
    InputError
        If it is no PNG, or too large to be a picture of a run.
    """
    content, file = read_picture(picture), BytesIO()
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as original:
            if original.width * original.height > MOST_PIXELS:
                raise InputError(f"{picture} has {original.width} x {original.height} pixels: no picture of a run")
            image = original.convert("RGB")
        # In 32 colours nobody can tell it from bicubic, which takes twice as long.
        image.thumbnail((BROADEST, BROADEST * 4), Image.Resampling.BILINEAR)
        image.quantize(COLOURS, Image.Quantize.FASTOCTREE).save(file, "PNG")
    except InputError:
        raise
    except Exception as error:  # of Pillow's decoders
        raise InputError(f"{picture} is no picture: {str(error).partition(chr(10))[0]}") from error
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def confusion(run: Run) -> Grid | None:
    """Return a run's confusion matrix of the objects held out, shaded by the share of the true class.

    None where nothing is known of them or there are too many classes to show.

    Raises
    ------
    InputError
        If the run's table of predictions is damaged.
    """
    file = run.file(PREDICTIONS_FILE)
    if not file:
        return None
    table = read_predictions(file, n_test=run.metrics.get("n_test"))
    truth = table["label" if np.isnan(table["reference"]).all() else "reference"]
    known = (table["split"] == "test") & ~np.isnan(truth)
    pairs = np.stack([truth[known], table["predicted"][known]]).astype(int)
    classes, places = np.unique(pairs, return_inverse=True)
    if not 0 < len(classes) <= CLASSES:
        return None
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, tuple(places.reshape(pairs.shape)), 1)
    totals = counts.sum(axis=1)
    rows = [
        (
            [(str(name), 1)],
            [Cell(str(count), shade=count / total if total else 0.0) for count in line]
            + [_number_cell(line[place] / total if total else math.nan, 2, "margin")],
        )
        for place, (name, line, total) in enumerate(zip(classes, counts, totals, strict=True))
    ]
    chosen = counts.sum(axis=0)
    precision = [
        math.nan if not total else right / total for right, total in zip(np.diag(counts), chosen, strict=True)
    ]
    rows.append(([("precision", 1)], [*(_number_cell(value, 2, "margin") for value in precision), Cell("")]))
    return Grid(["true"], [("predicted", [(str(name), 1) for name in classes] + [("recall", 1)])], rows)


def heat_map(comparison: Comparison) -> Grid | None:
    """Return the score over a grid of settings, those that matter most outermost, alternately down and across.

    None where there are less than two settings, most combinations of their values have no run, or the map would be
    too large to be read; runs that share a cell are averaged.
    """
    measure, order = comparison.measure, comparison.axes
    scores = pd.DataFrame(
        [[run.settings.get(key, "") for key in order] + [run.number(measure)] for run in comparison.done],
        columns=[*order, "score"],
    ).dropna(subset="score")
    levels = {key: sorted(set(scores[key]), key=natural_order) for key in order}
    if len(order) < 2 or scores.empty:
        return None
    cells = scores.groupby(order)["score"].mean()
    keys = sorted(order, key=lambda key: -scores.groupby(key)["score"].mean().std(ddof=0))
    down, across = keys[::2], keys[1::2]
    n_rows, n_columns = (math.prod(len(levels[key]) for key in some) for some in (down, across))
    if len(cells) * 2 < n_rows * n_columns or n_rows > ROWS or n_columns > COLUMNS:
        return None
    names = short_names(keys)
    worst, best = cells.min(), cells.max()
    if not metric(measure).greater_is_better:
        worst, best = best, worst
    grid = Grid([names[key] for key in down], [(names[key], _labels(across, key, levels)) for key in across])
    rows = list(product(*(levels[key] for key in down)))
    for line, row in enumerate(rows):
        places = dict(zip(down, row, strict=True))
        heads = []
        for depth, key in enumerate(down):
            span = math.prod(len(levels[inner]) for inner in down[depth + 1 :])
            if line % span == 0:
                heads.append((places[key] or "not set", span))
        values = []
        for column in product(*(levels[key] for key in across)):
            places |= dict(zip(across, column, strict=True))
            score = cells.get(tuple(places[key] for key in order), math.nan)
            shade = 0.08 + 0.92 * (score - worst) / (best - worst) if best != worst and not math.isnan(score) else 0.0
            values.append(Cell(number(score), shade=shade, style="best" if score == best else ""))
        grid.rows.append((heads, values))
    return grid


def _labels(across: Sequence[str], key: str, levels: dict[str, list[str]]) -> list[tuple[str, int]]:
    """Return the headings of one setting that goes across, repeated under those before it."""
    place = list(across).index(key)
    repeats = math.prod(len(levels[outer]) for outer in across[:place])
    span = math.prod(len(levels[inner]) for inner in across[place + 1 :])
    return [(value or "not set", span) for value in levels[key]] * repeats


def _groups(runs: Sequence[Run]) -> list[Column]:
    """Return what the clusterer found."""
    return _filled(_metric(runs, name) for name in shown_in("groups"))


def _strengths(runs: Sequence[Run]) -> list[Column]:
    """Return how strongly the predicted classes follow each parameter."""
    names = dict.fromkeys(name for run in runs for name in run.metrics if name.startswith(STRENGTH))
    return _filled(
        Column(name.removeprefix(STRENGTH), "", [_number_cell(run.number(name), 2, shaded=True) for run in runs])
        for name in names
    )


def _cost(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Return a row a stage: how many runs computed it, the median, the longest and the sum of the times."""
    rows = []
    for name, known in shown_in("cost").items():
        taken = [run.number(name) for run in runs]
        taken = [value for value in taken if math.isfinite(value)]
        if taken:
            times = [f"{value:.2f}" for value in (np.median(taken), max(taken), sum(taken))]
            rows.append((known.title, [str(len(taken)), *times]))
    return rows
