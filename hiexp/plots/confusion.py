"""The confusion matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hiexp.plots.figure import CLASSES, panels, short

LETTER = 0.05  # width in the name of a class, inches


def plot_confusion(
    confusion: np.ndarray,
    classes: np.ndarray,
    truth_name: str,
    file: Path | None = None,
    sample: str = "test set",
) -> Figure:
    """Draw counts of objects, coloured by their share of the true class; of many classes the colours alone.

    Parameters
    ----------
    confusion : ndarray, shape (K, K)
        Objects by true (row) and predicted (column) class.
    classes : ndarray, shape (K,)
        Their labels.
    truth_name : str
        Who said what is true.
    file : Path, optional
        The PNG to write.
    sample : str
        What the objects are.

    Returns
    -------
    Figure
        Shown by a notebook as it is written.
    """
    total = confusion.sum(axis=1, keepdims=True)
    share = np.divide(confusion, total, out=np.zeros(confusion.shape), where=total > 0)
    number = len(classes)
    side = 0.55 + 0.42 * min(number, CLASSES)
    # Of many classes a tick would stand for one by its place, not by its name.
    names = [short(name) for name in classes] if number <= CLASSES else []
    room = LETTER * max(map(len, names), default=0)
    upright = room < 0.36
    bottom = 0.4 if upright else 0.35 + room
    with panels(file, 1, 1, (side, side), left=0.4 + room, right=0.75, bottom=bottom, top=0.25) as (figure, (panel,)):
        image = panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
        if names:
            for (row, column), count in np.ndenumerate(confusion):
                colour = "white" if share[row, column] > 0.5 else "0.2"
                panel.text(column, row, str(count), ha="center", va="center", color=colour)
        panel.set_xticks(range(len(names)), names, rotation="horizontal" if upright else "vertical")
        panel.set_yticks(range(len(names)), names)
        panel.set(
            xlabel="predicted class", ylabel=f"{truth_name} class", title=f"{confusion.sum()} objects of the {sample}"
        )
        bar = panel.inset_axes((1 + 0.12 / side, 0, 0.12 / side, 1))
        figure.colorbar(image, cax=bar, label=f"fraction of {truth_name} class")
    return figure
