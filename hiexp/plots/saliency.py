"""Which part of a profile or of a disc decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import gaussian_filter

from hiexp.plots.figure import caption, largest_classes, panels
from hiexp.plots.images import draw_profile, image_colours
from hiexp.printable import printable

EXAMPLES = 3  # of each class
SIDE, BETWEEN = 1.25, 0.08  # of a profile and the images beside it, inches, and what is between two, in sides
PROFILE = (2.6, 1.8)  # where it is all there is, inches
MARGINS, GAP = {"left": 0.15, "bottom": 0.1, "top": 0.6}, (0.3, 0.35)  # inches
BAR = 1.2  # room for a colour bar, inches
SALIENCY: dict[str, Any] = {"cmap": "PuOr", "vmin": -1, "vmax": 1}
SMOOTHING = 2  # pixels or samples: neighbours speak for and against a class in turn, what counts is their sum
LETTERS = 15  # of the title of an object, an inch


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
    sample: str = "test set",
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
    sample : str
        What the objects are.
    """
    names = np.unique(predicted)
    images = values.ndim == 4
    size = ((3 + 2 * BETWEEN) * SIDE, SIDE) if images else PROFILE
    bars = [(SALIENCY, "the predicted class")]
    colours: dict[str, Any] = {}
    if images and values.shape[1] == 1:
        colours = image_colours([values])
        bars.insert(0, (colours, "pixel value"))
    number, right = EXAMPLES * len(names), 0.2 + BAR * len(bars)
    with panels(file, number, EXAMPLES, size, right=right, gap=GAP, **MARGINS) as (figure, drawn):
        for panel in drawn:
            panel.set_axis_off()
        for line, name in enumerate(names):
            for panel, member in zip(drawn[EXAMPLES * line :], np.flatnonzero(predicted == name), strict=False):
                weight = saliency[member].sum(axis=0) if images else saliency[member]
                weight = gaussian_filter(weight, SMOOTHING)
                weight = weight / max(np.abs(weight).max(), np.finfo(float).tiny)
                panel.set_title(printable(titles[member], int(LETTERS * size[0])), loc="left", fontsize=8)
                if images:
                    draw_profile(panel, profiles[member], 0, 1)
                    image = np.moveaxis(values[member], 0, -1).squeeze()
                    for place, shown, scale in ((1, image, colours), (2, weight, SALIENCY)):
                        left = place * (1 + BETWEEN)
                        panel.imshow(shown, extent=(left, left + 1, 0, 1), **scale)
                    panel.set(xlim=(0, 3 + 2 * BETWEEN), ylim=(0, 1))
                else:
                    _draw_coloured(panel, values[member], weight)
        what = "profile, disc image, saliency" if images else "profile, coloured by saliency"
        caption(figure, f"{sample.capitalize()}, by predicted class: {what} (integrated gradients)")
        width = figure.get_figwidth()
        for place, (scale, label) in enumerate(bars):
            left = width - BAR * (len(bars) - place)
            axes = figure.add_axes((left / width, 0.12, 0.2 / width, 0.7))
            norm = Normalize(scale["vmin"], scale["vmax"])
            bar = figure.colorbar(ScalarMappable(norm, scale["cmap"]), cax=axes, label=label, ticks=MaxNLocator(4))
            if scale is SALIENCY:
                bar.set_ticks([-1, 0, 1], labels=["against", "0", "for"])


def _draw_coloured(panel: Axes, profile: np.ndarray, weight: np.ndarray) -> None:
    panel.plot(profile, color="0.8", lw=0.6)
    points = np.column_stack([np.arange(profile.size), profile])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    lines = LineCollection(list(pieces), cmap=SALIENCY["cmap"], lw=2.5, array=(weight[1:] + weight[:-1]) / 2)
    lines.set_clim(SALIENCY["vmin"], SALIENCY["vmax"])
    panel.add_collection(lines)
    panel.margins(x=0)
