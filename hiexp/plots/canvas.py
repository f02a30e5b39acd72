"""What the pictures share: figures without a screen, what is written on them, and how they become files."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

CLASSES = 12  # shown in one picture: a clusterer may find hundreds
DPI = 120
LETTERS = 11.5  # of a title, an inch
LEGEND_LINE = 0.22  # height, inches


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
    figure = Figure(figsize=(width, height), layout=layout, dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def put_text(figure: Figure, x: float, y: float, words: str, **style: Any) -> None:
    """Write words at a place in inches."""
    figure.text(x, y, words, transform=figure.dpi_scale_trans, **style)


def caption(figure: Figure, title: str, x: str = "", y: str = "", above: float = 0.1) -> None:
    """Write a title and the labels that all panels share at the edges of a figure; `above` its lower edge, inches."""
    width, height = figure.get_size_inches()
    title = "\n".join(fill(line, int(LETTERS * width)) for line in title.split("\n"))
    put_text(figure, width / 2, height - 0.1, title, ha="center", va="top", fontsize=11)
    if x:
        put_text(figure, width / 2, above, x, ha="center", va="bottom")
    if y:
        put_text(figure, 0.1, height / 2, y, ha="left", va="center", rotation=90)


def legend(figure: Figure, entries: dict[str, str], top: float, columns: int, width: float) -> None:
    """Write the meaning of colours in lines of `columns` entries, in the middle of a figure.

    Parameters
    ----------
    figure : Figure
        To write on.
    entries : dict of str to str
        Colour by meaning.
    top : float
        Where the first line is, inches.
    columns : int
        Entries in a line.
    width : float
        Of an entry, inches.
    """
    left = (figure.get_figwidth() - min(columns, len(entries)) * width) / 2
    for number, (words, colour) in enumerate(entries.items()):
        line, column = divmod(number, columns)
        x, y = left + column * width, top - line * LEGEND_LINE
        figure.add_artist(Line2D([x, x + 0.3], [y, y], color=colour, transform=figure.dpi_scale_trans))
        put_text(figure, x + 0.4, y, words, va="center_baseline", fontsize=9)


def write(figure: Figure, file: Path) -> None:
    """Write the figure as PNG."""
    with mpl.rc_context({"text.hinting": "none"}):  # which takes a third of the time of a text
        figure.canvas.draw()
    pixels = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    pixels.save(file, compress_level=1, dpi=(DPI, DPI))
