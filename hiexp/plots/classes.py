"""The profiles of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hiexp.features.raw import unit_range
from hiexp.plots.canvas import largest_classes, new_figure, write

LINES_A_CLASS = 150


def plot_classes(profiles: np.ndarray, predicted: np.ndarray, file: Path) -> None:
    """Draw one panel a predicted class: its profiles, their median and 16-84 % range.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        mJy; drawn scaled to 0..1. At most 150 a class are drawn as lines, evenly taken from the sample.
    predicted : ndarray, shape (N,)
        Classes.
    file : Path
        The PNG to write.
    """
    classes, counts, words = largest_classes(predicted)
    columns = min(len(classes), 4)
    lines = -(-len(classes) // columns)
    figure = new_figure(3.2 * columns + 0.6, 2.7 * lines + 0.6)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    # Window of the fit stage from edge to edge, whatever its width in km/s.
    axis = np.linspace(-1, 1, profiles.shape[1])
    for panel, name, count in zip(axes.flat, classes, counts, strict=False):
        members = unit_range(profiles[predicted == name])
        shown = members[:: -(-count // LINES_A_CLASS)]
        panel.plot(axis, shown.T, color="0.6", lw=0.5, alpha=0.5)
        low, median, high = np.percentile(members, [16, 50, 84], axis=0)
        panel.fill_between(axis, low, high, color="C0", alpha=0.25, lw=0)
        panel.plot(axis, median, color="C0", lw=1.8)
        panel.set_title(f"class {name}: {count} profile{'s' if count > 1 else ''}", fontsize=10)
    for panel in axes.flat[len(classes) :]:
        panel.set_visible(False)
    figure.supxlabel("velocity from the line's centre / half window", fontsize=10)
    figure.supylabel("flux density, scaled to 0..1", fontsize=10)
    figure.suptitle(f"Profiles by predicted class{words}: each (grey), median and 16-84 % (blue)", fontsize=11)
    write(figure, file)
