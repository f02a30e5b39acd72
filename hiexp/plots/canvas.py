"""What the pictures share: figures without a screen, what is written on them, and how they become files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image, ImageDraw, ImageFont

CLASSES = 12  # shown in one picture: a clusterer may find hundreds
DPI = 120
LETTERS = 11.5  # of a title, an inch
LEGEND_LINE = 0.22  # height, inches
# What of some words is at their place: Pillow's letters by matplotlib's words.
ALONG = {"left": "l", "center": "m", "right": "r"}
ACROSS = {"top": "a", "center": "m", "center_baseline": "m", "baseline": "s", "bottom": "d"}
UPWARDS = {"left": "ma", "right": "md"}


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
    """Write words at a place in inches, with matplotlib's `style`; those that go upwards with ``va="center"``."""
    # `write` draws them: Pillow takes a tenth of the time that matplotlib takes for the same font.
    figure.text(x, y, words, visible=False, **style)


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
    figure.canvas.draw()
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    for text in figure.texts:
        if not text.get_visible():
            _draw_words(text, image)
    image.save(file, compress_level=1, dpi=(DPI, DPI))


def _draw_words(text: Text, image: Image.Image) -> None:
    right, up = text.get_position()  # inches
    x, y = DPI * right, image.height - DPI * up
    words, font, colour = text.get_text(), _font(text.get_fontsize()), to_hex(text.get_color())
    if text.get_rotation():
        anchor = UPWARDS[text.get_ha()]
        first, top, last, bottom = font.getbbox(words, anchor=anchor)
        line = Image.new("L", (last - first, bottom - top))
        ImageDraw.Draw(line).text((-first, -top), words, 255, font, anchor)
        image.paste(colour, (round(x + top), round(y - last)), line.transpose(Image.Transpose.ROTATE_90))
    else:
        anchor = ALONG[text.get_ha()] + ACROSS[text.get_va()]
        ImageDraw.Draw(image).text((x, y), words, colour, font, anchor, align="center")


@cache
def _font(points: float) -> ImageFont.FreeTypeFont:
    file = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(file), points * DPI / 72, layout_engine=ImageFont.Layout.BASIC)
