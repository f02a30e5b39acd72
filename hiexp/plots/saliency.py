"""Which part of a profile or of a disc decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from scipy.ndimage import gaussian_filter

from hiexp.plots.canvas import caption, largest_classes, panels, write

EXAMPLES = 3  # of each class
SIDE, BETWEEN = 1.65, 0.06  # of an image, inches, and what is between two, in sides
PROFILE, EDGE = (2.6, 1.8), 0.1  # its size with the margins left free, and these, inches
GAP, ABOVE = (0.25, 0.3), 0.08  # between two objects, and below a title, inches
SMOOTHING = 2  # pixels or samples: neighbours speak for and against a class in turn, what counts is their sum


def saliency_examples(predicted: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return the rows to draw: the first few candidates of each predicted class, class by class.

    Parameters
    ----------
    predicted : ndarray, shape (N,)
        Class of each object.
    candidates : ndarray of int
        Rows to choose from.
    """
    names, _, _ = largest_classes(predicted[candidates])
    return np.concatenate([candidates[predicted[candidates] == name][:EXAMPLES] for name in names])


def plot_saliency(
    values: np.ndarray, saliency: np.ndarray, predicted: np.ndarray, titles: list[str], file: Path
) -> None:
    """Draw what a classifier was given beside what of it speaks for the predicted class and what against it.

    Parameters
    ----------
    values : ndarray, shape (n, channels, height, width) or (n, samples)
        Images or profiles, as `saliency_examples` orders them.
    saliency : ndarray, of the same shape
        Summed over the channels and smoothed; each object's colours end at its own largest value.
    predicted : ndarray, shape (n,)
        Their classes: a row of panels each.
    titles : list of str
        A line above each object.
    file : Path
        The PNG to write.
    """
    names, column = np.unique(predicted, return_inverse=True)
    images = values.ndim == 4
    side = (SIDE * (2 + BETWEEN), SIDE) if images else PROFILE
    width = EXAMPLES * (side[0] + GAP[0]) - GAP[0]
    height = len(names) * (side[1] + GAP[1]) - GAP[1]
    # One panel, its unit an inch, for all: panels of their own would take longer than what is in them.
    figure, (panel,) = panels(1, 1, (width, height), left=0.15, right=1.2, bottom=0.1, top=0.6)
    panel.set_axis_off()
    colours = {"cmap": "PuOr", "vmin": -1, "vmax": 1}
    for row in range(len(names)):
        foot = height - row * (side[1] + GAP[1]) - side[1]
        for place, member in enumerate(np.flatnonzero(column == row)):
            left = place * (side[0] + GAP[0])
            weight = saliency[member].sum(axis=0) if images else saliency[member]
            weight = gaussian_filter(weight, SMOOTHING)
            weight = weight / max(np.abs(weight).max(), np.finfo(float).tiny)
            panel.text(left, foot + side[1] + ABOVE, titles[member], fontsize=8)
            if images:
                shown = np.moveaxis(values[member], 0, -1).squeeze()
                reach = {} if shown.ndim == 3 else {"cmap": "gray", "vmin": values.min(), "vmax": values.max()}
                beside, top = left + SIDE * (1 + BETWEEN), foot + SIDE
                panel.imshow(shown, extent=(left, left + SIDE, foot, top), aspect="auto", **reach)
                drawn = panel.imshow(weight, extent=(beside, beside + SIDE, foot, top), aspect="auto", **colours)
            else:
                reach = values[member].min(), values[member].max()
                x = np.linspace(left + EDGE, left + side[0] - EDGE, values.shape[1])
                y = np.interp(values[member], reach, (foot + EDGE, foot + side[1] - EDGE))
                drawn = _coloured_line(panel, x, y, weight, colours)
    panel.set(xlim=(0, width), ylim=(0, height))
    what = "image, and what of it decides" if images else "profile, coloured by what of it decides"
    caption(figure, f"Objects held out, by predicted class: {what}")
    wide = figure.get_figwidth()
    bar = figure.colorbar(drawn, figure.add_axes((1 - 1.05 / wide, 0.2, 0.2 / wide, 0.6)), ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["against", "0", "for"])
    bar.set_label("the predicted class")
    write(figure, file)


def _coloured_line(panel, x: np.ndarray, y: np.ndarray, weight: np.ndarray, colours: dict) -> LineCollection:
    points = np.column_stack([x, y])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    panel.plot(x, y, color="0.8", lw=0.6)
    lines = LineCollection(pieces, cmap=colours["cmap"], lw=2.5, array=(weight[1:] + weight[:-1]) / 2)
    lines.set_clim(colours["vmin"], colours["vmax"])
    return panel.add_collection(lines)
