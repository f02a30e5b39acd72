"""Panels drawn by hand, for pictures that are drawn once a job.

An `Axes` of matplotlib takes 3 ms, each of its ticks another, a colour bar 15 and a constrained layout as long as
all of the drawing. Here places are given in inches, and frame and ticks of a panel are one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.image import BboxImage
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from matplotlib.transforms import Bbox, TransformedBbox
from numpy.typing import ArrayLike

from hiexp.plots.canvas import new_figure, put_text

TICKS = 5  # intervals between those of an axis, at most
TICK, NUMBER, LABEL = 0.05, 0.08, (0.3, 0.45)  # how far from a panel ticks end, numbers begin and labels are, inches
FEW_DECADES = 1000
BAR = 0.2  # width of a colour bar, inches
Ticks = dict[float, str]  # what is written at which values


@dataclass
class Panel:
    """A rectangle of a figure with axes of its own.

    Attributes
    ----------
    figure : Figure
        Where it is.
    left, bottom, width, height : float
        Inches.
    x, y : (float, float)
        Values at its edges; all that is drawn lies between them.
    logarithmic : bool
        Whether the horizontal axis is.
    """

    figure: Figure
    left: float
    bottom: float
    width: float
    height: float
    x: tuple[float, float] = (0, 1)
    y: tuple[float, float] = (0, 1)
    logarithmic: bool = False

    @property
    def outline(self) -> list[tuple[float, float]]:
        """Its corners and the first again, inches."""
        left, bottom, right, top = self.left, self.bottom, self.left + self.width, self.bottom + self.height
        return [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]

    def as_axes(self) -> Axes:
        """Return matplotlib's own axes in its place, for pictures that are drawn once a sample."""
        across, up = self.figure.get_size_inches()
        return self.figure.add_axes((self.left / across, self.bottom / up, self.width / across, self.height / up))

    def inches(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return where on the figure values are."""
        scale = np.log if self.logarithmic else np.asarray
        across, (first, last) = scale(x), scale(self.x)
        up = (np.asarray(y) - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + self.width * (across - first) / (last - first), self.bottom + self.height * up

    def plot(self, x: ArrayLike, y: ArrayLike, **style: Any) -> None:
        """Draw a line through values."""
        self.figure.add_artist(Line2D(*self.inches(x, y), transform=self.figure.dpi_scale_trans, **style))

    def show(
        self,
        image: np.ndarray,
        cmap: str | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        interpolation: str | None = None,
    ) -> None:
        """Fill the panel with an image, shape (height, width) or (height, width, 3), its first line on top.

        Parameters
        ----------
        image : ndarray
            Values, or colours.
        cmap : str
            Colours of values.
        vmin, vmax : float
            Values where the colours begin and end.
        interpolation : str
            As matplotlib has it.
        """
        place = Bbox.from_bounds(self.left, self.bottom, self.width, self.height)
        box = TransformedBbox(place, self.figure.dpi_scale_trans)
        shown = BboxImage(box, origin="upper", cmap=cmap and _colours(cmap), interpolation=interpolation)
        shown.set_data(image)
        shown.set_clim(vmin, vmax)
        self.figure.add_artist(shown)

    def draw_axes(
        self,
        x: str = "",
        y: str = "",
        title: str = "",
        ticks: tuple[Ticks, Ticks] | None = None,
        named: tuple[bool, bool] = (True, True),
        grid: bool = False,
    ) -> None:
        """Draw frame and ticks and write what is around them, once the limits are set.

        Parameters
        ----------
        x, y, title : str
            Below, left of and above the panel.
        ticks : pair of dict of float to str
            What is written at which values; otherwise round values and their numbers.
        named : (bool, bool)
            Whether anything is written at the horizontal and at the vertical ticks.
        grid : bool
            Whether pale lines go through the panel at the ticks.
        """
        below, beside = ticks or (round_values(*self.x, self.logarithmic), round_values(*self.y))
        places = self.inches(list(below), self.y[0])[0]
        heights = self.inches(self.x[0], list(beside))[1]
        left, bottom, right, top = self.left, self.bottom, self.left + self.width, self.bottom + self.height
        if grid:
            pale = [[(place, bottom), (place, top)] for place in places]
            pale += [[(left, height), (right, height)] for height in heights]
            _draw(self.figure, pale, color="0.9", lw=0.8, zorder=1)
        frame = [self.outline, *([(place, bottom), (place, bottom - TICK)] for place in places)]
        frame += [[(left, height), (left - TICK, height)] for height in heights]
        _draw(self.figure, frame, color="black", lw=0.8, zorder=2.5)
        if named[0]:
            for place, words in zip(places, below.values(), strict=True):
                put_text(self.figure, place, bottom - NUMBER, words, ha="center", va="top")
        if named[1]:
            for height, words in zip(heights, beside.values(), strict=True):
                put_text(self.figure, left - NUMBER, height, words, ha="right", va="center_baseline")
        middle = (left + right) / 2, (bottom + top) / 2
        if x:
            put_text(self.figure, middle[0], bottom - LABEL[0], x, ha="center", va="top")
        if y:
            put_text(self.figure, left - LABEL[1], middle[1], y, ha="right", va="center", rotation=90)
        if title:
            put_text(self.figure, middle[0], top + NUMBER, title, ha="center", va="bottom")


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
) -> tuple[Figure, list[Panel]]:
    """Return a figure and its panels, line by line.

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
    """
    columns = min(number, columns)
    lines = -(-number // columns)
    width = left + columns * size[0] + (columns - 1) * gap[0] + right
    height = bottom + lines * size[1] + (lines - 1) * gap[1] + top
    figure = new_figure(width, height, layout=None)
    places = [divmod(place, columns) for place in range(number)]
    return figure, [
        Panel(figure, left + column * (size[0] + gap[0]), height - top - size[1] - line * (size[1] + gap[1]), *size)
        for line, column in places
    ]


def round_values(low: float, high: float, logarithmic: bool = False) -> Ticks:
    """Return ticks between two values: on a logarithmic axis 1, 2, 5, 10, ... or, over many decades, 1, 10, ..."""
    if logarithmic:
        locator = LogLocator(subs=(1, 2, 5) if high < FEW_DECADES * low else (1,))
    else:
        locator = MaxNLocator(TICKS, steps=[1, 2, 2.5, 5, 10])
    values = [float(value) for value in locator.tick_values(low, high) if low <= value <= high]
    return {value: f"{value:g}".replace("-", "\N{MINUS SIGN}") for value in values}


def limits(values: ArrayLike, margin: float = 0.05) -> tuple[float, float]:
    """Return the ends of an axis that shows all finite values, with a margin on both sides."""
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    room = margin * (high - low) or 0.5
    return low - room, high + room


def colour_bar(
    figure: Figure, left: float, bottom: float, height: float, ticks: Ticks, label: str, cmap: str, room: float = 0.9
) -> None:
    """Draw what the colours mean between the first and the last tick.

    Parameters
    ----------
    figure : Figure
        To draw on.
    left, bottom, height : float
        Place of the bar, inches.
    ticks : dict of float to str
        What is written at which values.
    label : str
        Right of it.
    cmap : str
        The colours.
    room : float
        Width with all that is written, inches.
    """
    bar = Panel(figure, left, bottom, BAR, height, y=(min(ticks), max(ticks)))
    bar.show(np.linspace(1, 0, 256)[:, None], cmap=cmap, vmin=0, vmax=1)
    right, heights = left + BAR, bar.inches(0, list(ticks))[1]
    marks = [[(right, place), (right + TICK, place)] for place in heights]
    _draw(figure, [bar.outline, *marks], color="black", lw=0.8)
    for place, words in zip(heights, ticks.values(), strict=True):
        put_text(figure, right + NUMBER, place, words, ha="left", va="center_baseline")
    put_text(figure, left + room, bottom + height / 2, label, ha="right", va="center", rotation=90)


@cache
def _colours(name: str) -> Colormap:
    """Return the colours of a name, as one object: each copy works them out anew."""
    return mpl.colormaps[name]


def _draw(figure: Figure, strokes: list[list[tuple[float, float]]], **style: Any) -> None:
    """Draw horizontal and vertical strokes, given in inches, in one go."""
    points = [point for stroke in strokes for point in (*stroke, (np.nan, np.nan))]
    line = Line2D(*np.transpose(points), transform=figure.dpi_scale_trans, solid_capstyle="butt", **style)
    line.set_snap(True)  # to whole pixels
    figure.add_artist(line)
