"""Pictures of a comparison as SVG, which stays sharp on paper and needs no picture of a screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from html import escape

from hiexp.comparison.runs import Comparison, Run
from hiexp.comparison.text import number, short_names
from hiexp.evaluation.metrics import metric
from hiexp.printable import natural_order, printable

TOP, PLOT, ROW = 14, 230, 17  # px: above the plot, its height, a row of settings
SIGN = 6.4  # px: a character
ROOM, NARROW, BROAD = 860, 5, 34  # px: what all columns may take, and one of them
AT_MOST = 150  # runs in the picture
LETTERS = 18  # of a setting
VALUES = 12  # of a setting that has a row for each
SHOWN = ("", "low_", "high_", "chance_", "chance95_", "yardstick_")
TICKS = (1, 2, 2.5, 5, 10)


def draw_ranking(comparison: Comparison) -> str:
    """Return the ranking as a specification curve: scores from best to worst, and below each what was set.

    After Simonsohn, Simmons & Nelson (2020, Nature Human Behaviour 4, 1208). Behind the scores stand what each run
    reaches by chance, from the mean to the 95th percentile, and what the best of the sweep reaches by chance, the
    middle 90 % of the draws, where the sweep has been judged; a line has what measuring without learning scores on
    the objects of each. Empty where no run has the score.
    """
    measure = comparison.measure
    runs = [run for run in comparison.done if math.isfinite(run.number(measure))][:AT_MOST]
    if not runs:
        return ""
    step = min(max(ROOM / len(runs), NARROW), BROAD)
    names = short_names(comparison.axes)
    labels = []
    for key, name in names.items():
        values = {run.settings.get(key, "") for run in runs}
        longest = max(len(printable(value, LETTERS)) for value in values)
        labels.append(len(_values_text(name, values)) if len(values) > VALUES else len(name) + longest)
    left = SIGN * max(labels, default=8) + 24
    width = left + step * len(runs) + 12
    verdict = comparison.judged()
    ends = [run.number(prefix + measure) for run in runs for prefix in SHOWN]
    if verdict:
        ends += [verdict["maximum"]["p05"], verdict["maximum"]["p95"]]
    ends = [value for value in ends if not math.isnan(value)]
    ticks = nice_ticks(min(ends), max(ends))
    low, high = min(*ends, ticks[0]), max(*ends, ticks[-1])

    def height(value: float) -> float:
        return TOP + PLOT * (1 - (value - low) / (high - low))

    parts = []
    if verdict:
        maximum = verdict["maximum"]
        top, bottom = height(maximum["p95"]), height(maximum["p05"])
        parts.append(_tag("rect", x=left, y=top, width=width - left, height=bottom - top, class_="band"))
        parts.append(_line(left, height(maximum["p50"]), width, height(maximum["p50"]), "middle"))
    for value in ticks:
        parts.append(_line(left, height(value), width, height(value), "grid"))
        parts.append(_text(left - 8, height(value) + 4, f"{value:g}", "end"))
    parts.append(
        _tag(
            "text",
            metric(measure).title,
            x=12,
            y=TOP + PLOT / 2,
            class_="axis middle",
            transform=f"rotate(-90 12 {TOP + PLOT / 2})",
        )
    )
    for place, run in enumerate(runs):
        rule = run.number(f"yardstick_{measure}")
        if math.isfinite(rule):
            parts.append(
                _line(left + step * place, height(rule), left + step * (place + 1), height(rule), "yardstick")
            )
        parts.append(_column(run, measure, left + step * (place + 0.5), min(step * 0.62, 12), height))
    bottom = TOP + PLOT + 8
    for key, name in names.items():
        rows, bottom = _settings(runs, key, name, step, left, width, bottom + 6)
        parts += rows
    return _svg(width, bottom + 4, parts, f"Runs ranked by {metric(measure).title}, with chance levels and settings")


def _column(run: Run, measure: str, x: float, breadth: float, height: Callable[[float], float]) -> str:
    value, low, high = (run.number(prefix + measure) for prefix in ("", "low_", "high_"))
    mean, end = run.number(f"chance_{measure}"), run.number(f"chance95_{measure}")
    parts = [_tag("title", f"{run.name}: {number(value)}")]
    if math.isfinite(mean) and math.isfinite(end):
        top, bottom = sorted((height(mean), height(end)))
        parts.append(
            _tag("rect", x=x - breadth / 2, y=top, width=breadth, height=max(bottom - top, 1), class_="chance")
        )
    if math.isfinite(low) and math.isfinite(high):
        parts.append(_line(x, height(low), x, height(high), "whisker"))
    parts.append(_tag("circle", cx=x, cy=height(value), r=min(breadth / 2.4, 4), class_="score"))
    return f'<a href="#run-{escape(run.name)}">{"".join(parts)}</a>'


def _settings(
    runs: Sequence[Run], key: str, name: str, step: float, left: float, width: float, top: float
) -> tuple[list[str], float]:
    """Return a row of dots for each value of a setting, and where they end."""
    values = sorted({run.settings.get(key, "") for run in runs}, key=natural_order)
    if len(values) > VALUES:
        return [_text(left - 8, top + 12, _values_text(name, values), "end")], top + ROW
    parts = []
    for line, value in enumerate(values):
        y = top + ROW * line
        if line % 2 == 0:
            parts.append(_tag("rect", x=left, y=y, width=width - left, height=ROW, class_="stripe"))
        parts.append(_text(left - 8, y + 12.5, printable(value or "not set", LETTERS), "end"))
        for place, run in enumerate(runs):
            if run.settings.get(key, "") == value:
                x = left + step * (place + 0.5)
                parts.append(
                    _tag("rect", x=x - step * 0.36, y=y + 4, width=step * 0.72, height=ROW - 8, class_="set")
                )
    parts.append(_tag("text", name, x=0, y=top + 12.5, class_="axis"))
    return parts, top + ROW * len(values)


def _values_text(name: str, values: Collection[str]) -> str:
    return f"{name}: {len(values)} values"


def draw_lines(comparison: Comparison) -> str:
    """Return parallel coordinates: a vertical axis a setting, the score as the last, a line a run.

    Settings whose values are numbers have them to scale (to their logarithms where they span a factor of 30); others
    have their values at equal distances. Empty where there are less than two settings, or no run has the score.
    """
    measure, names = comparison.measure, short_names(comparison.axes)
    runs = [run for run in comparison.done if math.isfinite(run.number(measure))][:AT_MOST]
    if not runs or len(names) < 2:
        return ""
    scores = [run.number(measure) for run in runs]
    axes = [(name, [run.settings.get(key, "") for run in runs]) for key, name in names.items()]
    places = [_places(values) for _, values in axes]
    ticks = nice_ticks(min(scores), max(scores))
    low, high = min(*scores, ticks[0]), max(*scores, ticks[-1])
    places.append(
        (
            [(score - low) / (high - low) for score in scores],
            {f"{tick:g}": (tick - low) / (high - low) for tick in ticks},
        )
    )
    gap = max(ROOM / len(axes), 130)
    width = 40 + gap * len(axes) + 110
    parts = []
    worst = min(scores) if metric(measure).greater_is_better else max(scores)
    span = (scores[0] - worst) or 1
    for rank, run in reversed(list(enumerate(runs))):  # the best on top
        points = " ".join(
            f"{40 + gap * place:.1f},{TOP + 18 + PLOT * (1 - heights[rank]):.1f}"
            for place, (heights, _) in enumerate(places)
        )
        opacity = 0.12 + 0.68 * ((scores[rank] - worst) / span) ** 2
        style = "best" if rank == 0 else "run"
        line = _tag(
            "polyline",
            _tag("title", f"{run.name}: {number(scores[rank])}"),
            raw=True,
            points=points,
            class_=style,
            opacity=f"{opacity:.2f}" if rank else "1",
        )
        parts.append(f'<a href="#run-{escape(run.name)}">{line}</a>')
    for place, ((_, labels), name) in enumerate(
        zip(places, [*(name for name, _ in axes), metric(measure).title], strict=True)
    ):
        x = 40 + gap * place
        parts.append(_line(x, TOP + 18, x, TOP + 18 + PLOT, "rule"))
        parts.append(_tag("text", name, x=x, y=TOP + 4, class_="axis" + (" middle" if place else "")))
        for label, height in labels.items():
            parts.append(
                _tag("text", printable(label, LETTERS), x=x + 7, y=TOP + 22 + PLOT * (1 - height), class_="halo")
            )
    return _svg(width, TOP + PLOT + 34, parts, f"Settings and {metric(measure).title} of every run")


def draw_search(comparison: Comparison) -> str:
    """Return the inner score of each trial in the order of a search, and the best so far.

    Behind it stands what the best so far of the same configurations reaches by chance (the middle 90 % of the draws),
    across it the chosen configuration's score on the objects held out with its interval. Empty where nobody has
    judged the search.
    """
    search, verdict = comparison.search, comparison.searched()
    if search is None or verdict is None:
        return ""
    trials, band, title = search["trials"], verdict["band"], metric(comparison.measure).title
    known = [trial["value"] for trial in trials if trial["state"] == "complete" and trial["value"] is not None]
    ends = [*known, verdict["score"], *(band["p05"] + band["p95"] if band else [])]
    ends += [end for end in (verdict["low"], verdict["high"]) if end is not None]
    ticks = nice_ticks(min(ends), max(ends))
    low, high = min(*ends, ticks[0]), max(*ends, ticks[-1])
    left, right = 64.0, 150.0
    step = min(max(ROOM / len(trials), 1), BROAD)
    width = left + step * len(trials) + right

    def height(value: float) -> float:
        return TOP + PLOT * (1 - (value - low) / (high - low))

    def line(values: Sequence[float]) -> str:
        return " ".join(
            f"{left + step * (place + 0.5):.1f},{height(value):.1f}" for place, value in enumerate(values)
        )

    parts = []
    if band:
        back = " ".join(reversed(line(band["p05"]).split()))
        parts.append(_tag("polygon", points=f"{line(band['p95'])} {back}", class_="band"))
    for value in ticks:
        parts.append(_line(left, height(value), width - right, height(value), "grid"))
        parts.append(_text(left - 8, height(value) + 4, f"{value:g}", "end"))
    if band:
        parts.append(_tag("polyline", points=line(band["p50"]), class_="median"))
    better = max if metric(comparison.measure).greater_is_better else min
    corners: list[tuple[float, float]] = []
    for place, trial in enumerate(trials):
        x, reached = left + step * (place + 0.5), trial["value"]
        if trial["state"] == "complete" and reached is not None:
            corners += [(x, corners[-1][1]), (x, better(corners[-1][1], reached))] if corners else [(x, reached)]
            dot = _tag(
                "circle",
                _tag("title", f"trial {trial['number']}: {number(reached)}"),
                raw=True,
                cx=x,
                cy=height(reached),
                r=min(step / 2.4, 3.5),
                class_="score",
            )
            parts.append(f'<a href="#run-{escape(trial["job"])}">{dot}</a>' if trial["job"] else dot)
        else:
            words = _tag("title", f"trial {trial['number']}: {trial['state']}")
            parts.append(
                _tag(
                    "line", words, raw=True, x1=x, x2=x, y1=float(TOP + PLOT - 7), y2=float(TOP + PLOT), class_="rule"
                )
            )
    if corners:
        path = " ".join(f"{x:.1f},{height(value):.1f}" for x, value in corners)
        parts.append(_tag("polyline", points=path, class_="best"))
    y, edge = height(verdict["score"]), width - right + 16
    parts.append(_line(left, y, edge + 6, y, "outer"))
    if verdict["low"] is not None and verdict["high"] is not None:
        parts.append(_line(edge, height(verdict["low"]), edge, height(verdict["high"]), "whisker"))
    parts.append(_text(edge + 12, y + 4, f"{number(verdict['score'])} held out", "axis"))
    for place in sorted({0, len(trials) - 1}):
        parts.append(_text(left + step * (place + 0.5), TOP + PLOT + 16, str(trials[place]["number"]), "middle"))
    parts.append(_text(left + step * len(trials) / 2, TOP + PLOT + 30, "trial", "axis middle"))
    turned = f"rotate(-90 12 {TOP + PLOT / 2})"
    parts.append(_tag("text", title, x=12, y=TOP + PLOT / 2, class_="axis middle", transform=turned))
    return _svg(width, TOP + PLOT + 36, parts, f"Best {title} so far, trial by trial, and what it is by chance")


def draw_importances(comparison: Comparison) -> str:
    """Return a bar for each key of a search: its share of what the objective varies by; empty where none is known."""
    groups = comparison.search["importances"] if comparison.search else []
    rows = [
        (f"{group['within']}: {key}" if group["within"] else key, share)
        for group in groups
        for key, share in group["shares"].items()
    ]
    if not rows:
        return ""
    left, length = SIGN * max(len(printable(name, 2 * LETTERS)) for name, _ in rows) + 16, 360.0
    parts = []
    for place, (name, share) in enumerate(rows):
        y = 4.0 + ROW * place
        parts.append(_text(left - 8, y + 12.5, printable(name, 2 * LETTERS), "end"))
        parts.append(
            _tag("rect", x=left, y=y + 3, width=max(length * share, 1.0), height=float(ROW - 6), class_="score")
        )
        parts.append(_text(left + length * share + 6, y + 12.5, f"{share:.2f}", ""))
    return _svg(left + length + 50, 8 + ROW * len(rows), parts, "Importance of the keys of a search")


def _places(values: Sequence[str]) -> tuple[list[float], dict[str, float]]:
    """Return where values lie on an axis from 0 to 1, and the labels of that axis."""
    known = sorted(set(values), key=natural_order)
    given = [value for value in known if value]
    if given and len(given) < len(known):  # keys of a branch, which others do not have, stand below it
        inner, named = _places(given)
        raised = {value: 0.12 + 0.88 * height for value, height in zip(given, inner, strict=True)}
        return [raised.get(value, 0.0) for value in values], {"not set": 0.0} | {
            label: 0.12 + 0.88 * height for label, height in named.items()
        }
    try:
        numbers = {value: float(value) for value in known}
        if not all(map(math.isfinite, numbers.values())):
            raise ValueError
    except ValueError:
        numbers = {value: float(place) for place, value in enumerate(known)}
    else:
        if min(numbers.values()) > 0 and max(numbers.values()) > 30 * min(numbers.values()):
            numbers = {value: math.log(size) for value, size in numbers.items()}
    low, high = min(numbers.values()), max(numbers.values())
    heights = {value: (size - low) / (high - low) if high > low else 0.5 for value, size in numbers.items()}
    labels = known if len(known) <= VALUES else [known[0], known[-1]]
    return [heights[value] for value in values], {label or "not set": heights[label] for label in labels}


def nice_ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers between `low` and `high`."""
    least = max(1e-12 * max(abs(low), abs(high)), 1e-300)  # what floating-point numbers resolve
    if not high - low > least:
        margin = max(0.05, 1e6 * least)
        low, high = low - margin, high + margin
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in TICKS if size * power >= rough * (1 - 1e-9))
    return [round(step * place, 12) for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _svg(width: float, height: float, parts: Sequence[str], words: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="width:{width:.0f}px" role="img" '
        f'aria-label="{escape(words)}">{"".join(parts)}</svg>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return _tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)


def _text(x: float, y: float, words: str, style: str) -> str:
    return _tag("text", words, x=x, y=y, class_=style)


def _tag(name: str, content: str = "", raw: bool = False, **attributes: float | str) -> str:
    """Return an element; `content` is text unless `raw`."""
    words = "".join(
        f' {key.rstrip("_")}="{f"{value:.1f}" if isinstance(value, float) else escape(str(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{words}>{content if raw else escape(content)}</{name}>"
