"""The confusion matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hiexp.plots.canvas import CLASSES, entitle, panels, write


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
    few = len(classes) <= CLASSES
    side = 0.9 + 0.7 * min(len(classes), CLASSES)
    figure, (panel,) = panels(1, 1, (side, side), left=0.7, right=1.2, bottom=0.55, top=0.35)
    image = panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if few:
        for (row, column), count in np.ndenumerate(confusion):
            colour = "white" if share[row, column] > 0.5 else "0.2"
            panel.text(column, row, count, ha="center", va="center", color=colour)
        panel.set_xticks(range(len(classes)), classes)
        panel.set_yticks(range(len(classes)), classes)
    else:  # any tick would stand for a class by its place, not by its name
        panel.set_xticks([])
        panel.set_yticks([])
    panel.set_xlabel("predicted class")
    panel.set_ylabel(f"class by the {truth_name}")
    entitle(panel, f"{confusion.sum()} test objects")
    width, height = figure.get_size_inches()
    figure.colorbar(
        image,
        figure.add_axes(((width - 1) / width, 0.55 / height, 0.2 / width, side / height)),
        label="share of the row",
    )
    write(figure, file)
