"""What the pictures share: figures without a screen, how they are written, and which classes they have room for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

CLASSES = 12  # shown in one picture: a clusterer may find hundreds
TICKS = 5  # of an axis, at most: every one takes a millisecond


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
        Whether all panels have the same axes, labelled at the outer panels alone.
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
        if shared:
            panel.tick_params(labelleft=column == 0, labelbottom=place + columns >= number)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MaxNLocator(TICKS, steps=[1, 2, 2.5, 5, 10]))
        panel.xaxis.set_label_coords(0.5, -0.3 / size[1])
        panel.yaxis.set_label_coords(-0.45 / size[0], 0.5)
        drawn.append(panel)
    return figure, drawn


def entitle(panel: Axes, text: str) -> None:
    """Put a title right above a panel, wherever its ticks are."""
    panel.set_title(text, fontsize=10, y=1)


def caption(figure: Figure, title: str, x: str = "", y: str = "", above: float = 0.1) -> None:
    """Write a title and the labels that all panels share at the edges of a figure; `above` its lower edge, inches."""
    width, height = figure.get_size_inches()
    figure.suptitle(title, y=1 - 0.1 / height, fontsize=11)
    figure.supxlabel(x, y=above / height, fontsize=10)
    figure.supylabel(y, x=0.1 / width, fontsize=10)


def make_logarithmic(axis: Axis) -> None:
    """Make an axis logarithmic, with ticks at 1, 2, 5, 10, ... written out."""
    axis._set_axes_scale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


def write(figure: Figure, file: Path) -> None:
    """Write the figure as PNG."""
    figure.savefig(file, dpi=120, pil_kwargs={"compress_level": 3})
