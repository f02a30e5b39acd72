"""Which part of a profile or of a disc decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from scipy.ndimage import gaussian_filter

from hiexp.plots.canvas import caption, largest_classes, new_figure, put_text, write
from hiexp.plots.images import draw_profile, image_colours
from hiexp.plots.panel import Panel, colour_bar, limits, round_values

EXAMPLES = 3  # of each class
SIDE, BETWEEN = 1.25, 0.1  # of an image and of the profile beside it, and what is between two, inches
PROFILE = (2.6, 1.8)  # where it is all there is, inches
GAP = (0.3, 0.35)  # between two objects, inches
BAR, LEFT, BOTTOM, TOP = 1.2, 0.15, 0.1, 0.6  # room for a colour bar, and margins, inches
COLOURS = "PuOr"
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
    profiles: np.ndarray,
    values: np.ndarray,
    saliency: np.ndarray,
    predicted: np.ndarray,
    titles: list[str],
    file: Path,
) -> None:
    """Draw what a classifier was given beside what of it speaks for the predicted class and what against it.

    Parameters
    ----------
    profiles : ndarray, shape (n, samples)
        mJy, as `saliency_examples` orders them; drawn beside the images made of them.
    values : ndarray, shape (n, channels, height, width) or (n, samples)
        What the classifier was given: images or profiles.
    saliency : ndarray, of the same shape
        Summed over the channels and smoothed; each object's colours end at its own largest value.
    predicted : ndarray, shape (n,)
        Their classes: a line of objects each.
    titles : list of str
        Above each object.
    file : Path
        The PNG to write.
    """
    names, line = np.unique(predicted, return_inverse=True)
    images = values.ndim == 4
    size = (3 * SIDE + 2 * BETWEEN, SIDE) if images else PROFILE
    width = EXAMPLES * (size[0] + GAP[0])
    height = len(names) * (size[1] + GAP[1]) - GAP[1]
    bars = {COLOURS: ({-1: "against", 0: "0", 1: "for"}, "the predicted class")}
    colours = {}
    if images and values.shape[1] == 1:
        colours = image_colours(values)
        bars = {colours["cmap"]: (round_values(colours["vmin"], colours["vmax"]), "pixel value")} | bars
    figure = new_figure(LEFT + width + len(bars) * BAR, BOTTOM + height + TOP, layout=None)
    for row in range(len(names)):
        foot = BOTTOM + height - row * (size[1] + GAP[1]) - size[1]
        for place, member in enumerate(np.flatnonzero(line == row)):
            left = LEFT + place * (size[0] + GAP[0])
            weight = saliency[member].sum(axis=0) if images else saliency[member]
            weight = gaussian_filter(weight, SMOOTHING)
            weight = weight / max(np.abs(weight).max(), np.finfo(float).tiny)
            put_text(figure, left, foot + size[1] + 0.08, titles[member], fontsize=8)
            if images:
                first, second, third = (
                    Panel(figure, left + number * (SIDE + BETWEEN), foot, SIDE, SIDE) for number in range(3)
                )
                draw_profile(first, profiles[member])
                second.show(np.moveaxis(values[member], 0, -1).squeeze(), **colours)
                third.show(weight, cmap=COLOURS, vmin=-1, vmax=1)
            else:
                _draw_coloured(Panel(figure, left, foot, *size), values[member], weight)
    for number, (cmap, (ticks, label)) in enumerate(bars.items()):
        left = LEFT + width + number * BAR
        colour_bar(figure, left, BOTTOM + height / 8, height * 3 / 4, ticks, label, cmap, room=BAR - 0.15)
    what = "profile, disc image, saliency" if images else "profile, coloured by saliency"
    caption(figure, f"Test set, by predicted class: {what} (integrated gradients)")
    write(figure, file)


def _draw_coloured(panel: Panel, profile: np.ndarray, weight: np.ndarray) -> None:
    panel.x, panel.y = (0, profile.size - 1), limits(profile)
    panel.plot(range(profile.size), profile, color="0.8", lw=0.6)
    points = np.column_stack(panel.inches(range(profile.size), profile))
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    lines = LineCollection(
        pieces, cmap=COLOURS, lw=2.5, array=(weight[1:] + weight[:-1]) / 2, transform=panel.figure.dpi_scale_trans
    )
    lines.set_clim(-1, 1)
    panel.figure.add_artist(lines)
