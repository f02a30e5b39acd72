"""Which part of a profile or of a disc decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from scipy.ndimage import gaussian_filter

from hiexp.plots.canvas import caption, largest_classes, panels, write

EXAMPLES = 3  # of each class
SIDE, BETWEEN = 1.65, 0.06  # of an image, inches, and what is between two, in sides
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
    size = (SIDE * (2 + BETWEEN), SIDE) if images else (2.6, 1.8)
    figure, axes = panels(
        len(names) * EXAMPLES, EXAMPLES, size, left=0.15, right=1.2, bottom=0.1, top=0.6, gap=(0.25, 0.3)
    )
    grid = np.reshape(axes, (len(names), EXAMPLES))
    for panel in grid.flat:
        panel.set_axis_off()
    colours = {"cmap": "PuOr", "vmin": -1, "vmax": 1}
    for row in range(len(names)):
        for place, member in enumerate(np.flatnonzero(column == row)):
            weight = saliency[member].sum(axis=0) if images else saliency[member]
            weight = gaussian_filter(weight, SMOOTHING)
            weight = weight / max(np.abs(weight).max(), np.finfo(float).tiny)
            panel = grid[row, place]
            panel.set_title(titles[member], fontsize=8, loc="left", y=1)
            if images:
                shown = np.moveaxis(values[member], 0, -1).squeeze()
                reach = {} if shown.ndim == 3 else {"cmap": "gray", "vmin": values.min(), "vmax": values.max()}
                # Both in one panel: each panel takes longer than the images in it.
                panel.imshow(shown, extent=(0, 1, 0, 1), **reach)
                drawn = panel.imshow(weight, extent=(1 + BETWEEN, 2 + BETWEEN, 0, 1), **colours)
                panel.set(xlim=(0, 2 + BETWEEN), ylim=(0, 1))
            else:
                drawn = _coloured_line(panel, values[member], weight, colours)
    what = "image, and what of it decides" if images else "profile, coloured by what of it decides"
    caption(figure, f"Objects held out, by predicted class: {what}")
    width = figure.get_figwidth()
    bar = figure.colorbar(drawn, figure.add_axes((1 - 1.05 / width, 0.2, 0.2 / width, 0.6)), ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["against", "0", "for"])
    bar.set_label("the predicted class")
    write(figure, file)


def _coloured_line(panel, profile: np.ndarray, weight: np.ndarray, colours: dict) -> LineCollection:
    points = np.column_stack([np.arange(profile.size), profile])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    panel.plot(profile, color="0.8", lw=0.6)
    lines = LineCollection(pieces, cmap=colours["cmap"], lw=2.5, array=(weight[1:] + weight[:-1]) / 2)
    lines.set_clim(colours["vmin"], colours["vmax"])
    return panel.add_collection(lines)
