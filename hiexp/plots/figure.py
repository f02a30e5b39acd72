"""What the pictures share: figures that need no display, margins in inches, the classes that are shown."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import LogLocator, NullFormatter

from hiexp.printable import printable

CLASSES = 12  # shown in one picture: a clusterer may find hundreds
LETTERS = 11.5  # of a title, an inch
PNG: dict[str, Any] = {"pil_kwargs": {"compress_level": 1}}
STYLE: dict[Any, Any] = {
    "figure.dpi": 120,
    "figure.titlesize": 11,
    "figure.labelsize": 10,
    "axes.titlesize": 10,
    "axes.titley": 1.0,  # given: it is searched for above the ticks otherwise
    # Petroff (2021, arXiv:2107.02270): told apart with any colour vision; the last two of twelve classes are dashed.
    "axes.prop_cycle": cycler(color=mpl.color_sequences["petroff10"]),
    "legend.fontsize": 9,
    "legend.frameon": False,
    # Names of objects and settings are no TeX, whatever they hold.
    "text.parse_math": False,
    "text.usetex": False,
}


class Picture(Figure):
    """A figure that is drawn in the style of these pictures whenever it is written, and shown by a notebook."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write it as matplotlib does, in this style."""
        with mpl.rc_context(STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # it is drawn as a box
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", **PNG)
        return content.getvalue()


@contextmanager
def picture(file: Path | None, width: float, height: float) -> Iterator[Picture]:
    """Give an empty figure of `width` x `height` inches; write it at the end as PNG or PDF, by the file's name."""
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(width, height))
        yield figure
        if file is not None:
            figure.savefig(file, **(PNG if Path(file).suffix == ".png" else {}))


@contextmanager
def panels(
    file: Path | None,
    number: int,
    columns: int,
    size: tuple[float, float],
    *,
    left: float = 0.75,
    right: float = 0.15,
    bottom: float = 0.75,
    top: float = 0.75,
    gap: tuple[float, float] = (0.15, 0.35),
) -> Iterator[tuple[Picture, list[Axes]]]:
    """Give a figure and its axes, line by line; write it as PNG at the end where there is a file.

    Margins are given, since matplotlib's constrained layout takes as long as the drawing.

    Parameters
    ----------
    file : Path or None
        The PNG to write.
    number : int
        Number of axes.
    columns : int
        Axes side by side.
    size : (float, float)
        Width and height of one, inches.
    left, right, bottom, top : float
        Margins of the figure, inches.
    gap : (float, float)
        Room between columns and between lines, inches.
    """
    columns = min(number, columns)
    lines = -(-number // columns)
    width = left + columns * size[0] + (columns - 1) * gap[0] + right
    height = bottom + lines * size[1] + (lines - 1) * gap[1] + top
    with picture(file, width, height) as figure:
        grid = figure.add_gridspec(
            lines,
            columns,
            left=left / width,
            right=1 - right / width,
            bottom=bottom / height,
            top=1 - top / height,
            wspace=gap[0] / size[0],
            hspace=gap[1] / size[1],
        )
        yield figure, [figure.add_subplot(grid[place]) for place in range(number)]


def caption(figure: Figure, title: str, x: str = "", y: str = "") -> None:
    """Write a title, in as many lines as the figure's width asks for, and the labels that all axes share."""
    width, height = figure.get_size_inches()
    lines = [fill(line, int(LETTERS * width)) for line in title.split("\n")]
    figure.suptitle("\n".join(lines), y=1 - 0.1 / height)
    if x:
        figure.supxlabel(x, y=0.08 / height)
    if y:
        figure.supylabel(y, x=0.08 / width)


def set_logarithmic(panel: Axes, low: float, high: float) -> None:
    """Make the horizontal axis logarithmic, with ticks at 1, 3, 10, ... or, over many decades, at 1, 10, 100, ..."""
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high < 1e4 * low else (1,), numticks=4))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())


def short(name: object) -> str:
    """Return the name of a class or an object in one line of at most 24 characters."""
    return printable(str(name), 24)


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


def class_line(place: int) -> dict[str, Any]:
    """Return colour and dashes of the class at a place among those shown."""
    return {"color": f"C{place % 10}", "linestyle": "-" if place < 10 else "--"}
