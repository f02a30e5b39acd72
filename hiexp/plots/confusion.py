"""The confusion matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hiexp.plots.canvas import CLASSES, put_text, write
from hiexp.plots.panel import colour_bar, panels, round_values

COLOURS = "Blues"


def plot_confusion(confusion: np.ndarray, classes: np.ndarray, truth_name: str, file: Path) -> None:
    """Draw counts of test objects, coloured by their share of the true class; of many classes the colours alone.

    Parameters
    ----------
    confusion : ndarray, shape (K, K)
        Objects by true (row) and predicted (column) class.
    classes : ndarray, shape (K,)
        Their labels.
    truth_name : str
        Who said what is true.
    file : Path
        The PNG to write.
    """
    total = confusion.sum(axis=1, keepdims=True)
    share = np.divide(confusion, total, out=np.zeros(confusion.shape), where=total > 0)
    number = len(classes)
    side = 0.9 + 0.7 * min(number, CLASSES)
    figure, (panel,) = panels(1, 1, (side, side), left=0.7, right=1.2, bottom=0.55, top=0.35)
    panel.x, panel.y = (-0.5, number - 0.5), (number - 0.5, -0.5)
    panel.show(share, cmap=COLOURS, vmin=0, vmax=1, interpolation="nearest")
    names = {}  # of many classes a tick would stand for one by its place, not by its name
    if number <= CLASSES:
        names = {place: str(name) for place, name in enumerate(classes)}
        for (row, column), count in np.ndenumerate(confusion):
            colour = "white" if share[row, column] > 0.5 else "0.2"
            x, y = panel.inches(column, row)
            put_text(figure, x, y, count, ha="center", va="center", color=colour)
    panel.draw_axes("predicted class", f"{truth_name} class", f"{confusion.sum()} test objects", ticks=(names, names))
    place = panel.left + side + 0.2, panel.bottom, side
    colour_bar(figure, *place, round_values(0, 1), "fraction of reference class", COLOURS, room=0.8)
    write(figure, file)
