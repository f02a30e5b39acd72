"""What the pictures share: figures that need no display, margins in inches, the classes that are shown."""

from __future__ import annotations

import io
import logging
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

from hiexp.plots.formats import files_of
from hiexp.printable import printable

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every glyph of a PDF

CLASSES = 12  # shown in one picture: a clusterer may find hundreds
PAGE = 7.1  # width of a page of two columns, inches: no picture of a run is wider, so that 7 points stay 7 points
LETTERS = 16  # of a title, an inch
SMALL = 7  # points: ticks, legends, titles of small panels
OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"pil_kwargs": {"compress_level": 1}},
    ".pdf": {"metadata": {"CreationDate": None}},  # the same picture is the same file
}
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2, 1, 2, 1, 2)),
    (0, (2.5, 1)),
)
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p", "h")
STYLE: dict[Any, Any] = {
    "figure.dpi": 200,
    "figure.titlesize": 9,
    "figure.labelsize": 8,
    # As a paper in Times has it; what STIX has no glyph for comes from the other font.
    "font.family": ["STIXGeneral", "DejaVu Sans"],
    "font.size": 8,
    "text.hinting": "no_hinting",  # letters keep their distances
    "mathtext.fontset": "stix",
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.titley": 1.0,  # given: it is searched for above the ticks otherwise
    "axes.titlepad": 4,
    "axes.labelpad": 2,
    "axes.linewidth": 0.6,
    # Petroff (2021, arXiv:2107.02270): told apart with any colour vision; in grey by dashes, marks and hatches.
    "axes.prop_cycle": cycler(color=mpl.color_sequences["petroff10"]),
    "hatch.linewidth": 0.5,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.markersize": 4,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "pdf.fonttype": 42,  # TrueType: type 3, the default, is refused by journals
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
        self.savefig(content, format="png", **OPTIONS[".png"])
        return content.getvalue()


@contextmanager
def picture(file: Path | None, width: float, height: float) -> Iterator[Picture]:
    """Give an empty figure of `width` x `height` inches; write it at the end, as `files_of` says."""
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(width, height))
        yield figure
        for name in files_of(file):
            figure.savefig(name, **OPTIONS.get(Path(name).suffix, {}))


@contextmanager
def panels(
    file: Path | None,
    number: int,
    columns: int,
    size: tuple[float, float],
    *,
    left: float = 0.5,
    right: float = 0.1,
    bottom: float = 0.5,
    top: float = 0.5,
    gap: tuple[float, float] = (0.1, 0.3),
) -> Iterator[tuple[Picture, list[Axes]]]:
    """Give a figure and its axes, line by line; write it at the end where there is a file.

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


def caption(figure: Figure, title: str, x: str = "", y: str = "", *, math: bool = False) -> None:
    """Write a title, `math` or not, in as many lines as the width asks for, and the labels that all axes share."""
    width, height = figure.get_size_inches()
    lines = [fill(line, int(LETTERS * width)) for line in title.split("\n")]
    figure.suptitle("\n".join(lines), y=1 - 0.06 / height, parse_math=math)
    if x:
        figure.supxlabel(x, y=0.05 / height)
    if y:
        figure.supylabel(y, x=0.05 / width)


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
    """Return colour, dashes and width of the line of the class at a place among those shown, told apart in grey."""
    return {
        "color": f"C{place % 10}",
        "linestyle": DASHES[place % len(DASHES)],
        "linewidth": 1.1 + 0.7 * (place // len(DASHES)),
    }


def class_mark(place: int) -> str:
    """Return the marker of the class at a place among those shown."""
    return MARKS[place % len(MARKS)]
