"""What the pictures share: a figure without a screen, how it is written, and which classes it has room for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

CLASSES = 12  # shown in one picture: a clusterer may find hundreds


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


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of `width` x `height` inches that needs no display and no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write(figure: Figure, file: Path) -> None:
    """Write the figure as PNG."""
    figure.savefig(file, dpi=120)
