"""What the pictures share: figures without a screen, how they are written, and which classes they have room for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import TICKDOWN, TICKLEFT, Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

CLASSES = 12  # shown in one picture: a clusterer may find hundreds
TICKS = 5  # intervals between those of an axis, at most
ROOM_BELOW, ROOM_BESIDE = 0.3, 0.45  # for the numbers at the ticks, inches
FEW_DECADES = 1000


def largest_classes(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the 12 most frequent classes, ascending, their counts, and words for a title that say what is left out.

    Parameters
    ----------
    classes : ndarray, shape (N,)
        Class of each object.
    """
    names, counts = np.unique(classes, return_counts=True)
    shown = np.sort(np.argsort(-counts, kind="stable")[:CLASSES])
    words = f" (the {CLASSES} largest of {names.size})" if names.size > CLASSES else ""
    return names[shown], counts[shown], words


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """Return an empty figure of `width` x `height` inches that needs no display and no global state."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def panels(
    number: int,
    columns: int,
    size: tuple[float, float],
    *,
    left: float = 0.75,
    right: float = 0.15,
    bottom: float = 0.75,
    top: float = 0.75,
    gap: tuple[float, float] = (0.15, 0.35),
    shared: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, line by line, for pictures that are drawn once a job.

    The places of panels and labels are given, not measured: a constrained layout takes as long as all of the
    drawing, and a label that looks for a free place half as long.

    Parameters
    ----------
    number : int
        Of panels.
    columns : int
        Panels side by side.
    size : (float, float)
        Width and height of a panel, inches.
    left, right, bottom, top : float
        Margins of the figure, inches.
    gap : (float, float)
        Between columns and between lines, inches.
    shared : bool
        Whether all panels have the same axes.
    """
    columns = min(number, columns)
    lines = -(-number // columns)
    width = left + columns * size[0] + (columns - 1) * gap[0] + right
    height = bottom + lines * size[1] + (lines - 1) * gap[1] + top
    figure, drawn = new_figure(width, height, layout=None), []
    for place in range(number):
        line, column = divmod(place, columns)
        x = left + column * (size[0] + gap[0])
        y = bottom + (lines - 1 - line) * (size[1] + gap[1])
        with_first = drawn[0] if shared and drawn else None
        panel = figure.add_axes(
            (x / width, y / height, size[0] / width, size[1] / height), sharex=with_first, sharey=with_first
        )
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MaxNLocator(TICKS, steps=[1, 2, 2.5, 5, 10]))
        panel.xaxis.set_label_coords(0.5, -ROOM_BELOW / size[1])
        panel.yaxis.set_label_coords(-ROOM_BESIDE / size[0], 0.5)
        drawn.append(panel)
    return figure, drawn


def draw_ticks(panel: Axes, x: str = "", labelled: tuple[bool, bool] = (True, True)) -> None:
    """Draw the ticks of a finished panel in one go; matplotlib's own are five artists each, most of a picture's time.

    Parameters
    ----------
    panel : Axes
        With its limits set.
    x : str
        Label of the horizontal axis.
    labelled : (bool, bool)
        Whether the horizontal and the vertical ticks have numbers.
    """
    limits = panel.get_xlim(), panel.get_ylim()
    transforms = panel.get_xaxis_transform(), panel.get_yaxis_transform()
    inches = panel.get_position().size * panel.figure.get_size_inches()
    for number, axis in enumerate((panel.xaxis, panel.yaxis)):
        low, high = limits[number]
        places = [place for place in axis.get_major_locator()() if low <= place <= high]
        across = [0.0] * len(places)
        line = (places, across) if number == 0 else (across, places)
        marker = (TICKDOWN, TICKLEFT)[number]
        panel.add_artist(
            Line2D(*line, ls="", marker=marker, color="black", ms=3.5, transform=transforms[number], clip_on=False)
        )
        away = -0.08 / inches[1 - number]
        for place in places if labelled[number] else []:
            text = f"{place:g}".replace("-", "\N{MINUS SIGN}")
            if number == 0:
                panel.text(place, away, text, transform=transforms[0], ha="center", va="top")
            else:
                panel.text(away, place, text, transform=transforms[1], ha="right", va="center")
        axis.set_visible(False)
    if x:
        panel.text(0.5, -ROOM_BELOW / inches[1], x, transform=panel.transAxes, ha="center", va="top")


def entitle(panel: Axes, text: str) -> None:
    """Put a title right above a panel, wherever its ticks are."""
    panel.set_title(text, fontsize=10, y=1)


def caption(figure: Figure, title: str, x: str = "", y: str = "", above: float = 0.1) -> None:
    """Write a title and the labels that all panels share at the edges of a figure; `above` its lower edge, inches."""
    width, height = figure.get_size_inches()
    figure.suptitle(title, y=1 - 0.1 / height, fontsize=11)
    figure.supxlabel(x, y=above / height, fontsize=10)
    figure.supylabel(y, x=0.1 / width, fontsize=10)


def make_logarithmic(panel: Axes) -> None:
    """Make the horizontal axis logarithmic, with ticks at 1, 2, 5, 10, ... or, over many decades, at these."""
    low, high = panel.get_xlim()
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < FEW_DECADES * low else (1,)))


def write(figure: Figure, file: Path) -> None:
    """Write the figure as PNG."""
    figure.savefig(file, dpi=120, pil_kwargs={"compress_level": 3})
