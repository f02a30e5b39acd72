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

from hiexp.plots.figure import SMALL, caption, largest_classes, panels
from hiexp.plots.images import draw_profile, image_colours, reach
from hiexp.plots.labels import OF_HALF_WINDOW, OFFSET
from hiexp.printable import printable

EXAMPLES = 3  # of each class
SIDE, BETWEEN = 0.69, 0.08  # of a profile and the images beside it, inches, and what is between two, in sides
PROFILE = (1.9, 1.1)  # where it is all there is, inches
BAR = 0.5  # height of what the colour bars need, inches
MARGINS = {"left": 0.45, "bottom": 0.4 + BAR, "top": 0.5}  # where the panels have axes, inches
SALIENCY: dict[str, Any] = {"cmap": "PuOr", "vmin": -1, "vmax": 1}
SMOOTHING = 2  # pixels or samples: neighbours speak for and against a class in turn, what counts is their sum
LETTERS = 20  # of the title of an object, an inch
STRONG = 0.5  # saliency, over the largest, that is outlined on an image


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
    windows: np.ndarray | None = None,
) -> None:
    """Draw what a classifier was given beside what of it speaks for the predicted class and what against it.

    In grey they are told apart, too: on images solid outlines hold what speaks strongly for the class and dashed ones
    what speaks against it; under profiles the saliency is drawn about a line, upwards what speaks for the class.

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
    windows : ndarray, shape (n, 2), optional
        Ends of the window that each profile fills, km/s.
    """
    names = np.unique(predicted)
    images = values.ndim == 4
    size = ((3 + 2 * BETWEEN) * SIDE, SIDE) if images else PROFILE
    outlines = " (outlined from half of the largest; dashed: against)" if images else ""
    bars = [(SALIENCY, f"the predicted class{outlines}")]
    colours: dict[str, Any] = {}
    if images and values.shape[1] == 1:
        colours = image_colours([values])
        bars.insert(0, (colours, "pixel value"))
    number = EXAMPLES * len(names)
    margins = {"left": 0.1, "bottom": 0.05 + BAR, "top": 0.46} if images else MARGINS
    gap = (0.18, 0.25) if images else (0.3, 0.5)
    with panels(file, number, EXAMPLES, size, gap=gap, **margins) as (figure, drawn):
        for panel in drawn:
            panel.set_axis_off()
        for line, name in enumerate(names):
            for panel, member in zip(drawn[EXAMPLES * line :], np.flatnonzero(predicted == name), strict=False):
                weight = saliency[member].sum(axis=0) if images else saliency[member]
                weight = gaussian_filter(weight, SMOOTHING)
                weight = weight / max(np.abs(weight).max(), np.finfo(float).tiny)
                far = "" if windows is None or not images else f", {reach(windows[member])}"
                title = printable(titles[member], int(LETTERS * size[0]) - len(far)) + far
                panel.set_title(title, loc="left", fontsize=SMALL)
                if images:
                    draw_profile(panel, profiles[member], 0, 1)
                    image = np.moveaxis(values[member], 0, -1).squeeze()
                    for place, shown, scale in ((1, image, colours), (2, weight, SALIENCY)):
                        left = place * (1 + BETWEEN)
                        panel.imshow(shown, extent=(left, left + 1, 0, 1), **scale)
                    _outline(panel, weight, 2 * (1 + BETWEEN))
                    panel.set(xlim=(0, 3 + 2 * BETWEEN), ylim=(0, 1))
                else:
                    half = 1.0 if windows is None else np.ptp(windows[member]) / 2
                    _draw_coloured(panel, np.linspace(-half, half, weight.size), values[member], weight)
        what = "profile, disc image, saliency" if images else "profile and, below it, saliency"
        x = "" if images else OF_HALF_WINDOW if windows is None else OFFSET
        caption(figure, f"{sample.capitalize()}, by predicted class: {what} (integrated gradients)")
        width, height = figure.get_size_inches()
        if x:
            figure.supxlabel(x, y=(BAR + 0.05) / height)
            figure.supylabel("profile as the classifier has it", x=0.05 / width)
        room = width / len(bars)
        for place, (scale, label) in enumerate(bars):
            length = min(1.8, 0.6 * room)
            left = (place + 0.5) * room - length / 2
            axes = figure.add_axes((left / width, 0.36 / height, length / width, 0.1 / height))
            norm = Normalize(scale["vmin"], scale["vmax"])
            mappable = ScalarMappable(norm, scale["cmap"])
            bar = figure.colorbar(mappable, cax=axes, label=label, ticks=MaxNLocator(4), orientation="horizontal")
            if scale is SALIENCY:
                bar.set_ticks([-1, 0, 1], labels=["against", "0", "for"])


def _outline(panel: Axes, weight: np.ndarray, left: float) -> None:
    """Outline what speaks strongly for a class (solid) and against it (dashed) on the image that begins at `left`."""
    for sign, dashes in ((1, "-"), (-1, "--")):
        if (sign * weight).max() > STRONG:
            box = (left, left + 1, 1, 0)
            panel.contour(weight, [sign * STRONG], extent=box, colors="0.1", linewidths=0.6, linestyles=dashes)


def _draw_coloured(panel: Axes, velocity: np.ndarray, profile: np.ndarray, weight: np.ndarray) -> None:
    points = np.column_stack([velocity, profile])
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    panel.plot(velocity, profile, color="0.8", lw=0.5)
    lines = LineCollection(list(pieces), cmap=SALIENCY["cmap"], lw=1.8, array=(weight[1:] + weight[:-1]) / 2)
    lines.set_clim(SALIENCY["vmin"], SALIENCY["vmax"])
    panel.add_collection(lines)
    low, span = profile.min(), np.ptp(profile) or 1
    line = low - 0.35 * span  # of no saliency
    panel.axhline(line, color="0.5", lw=0.5)
    panel.fill_between(velocity, line, line + 0.25 * span * weight, color="0.3", lw=0)
    panel.set_axis_on()
    panel.margins(x=0)
    panel.locator_params(axis="x", nbins=4)
    ticks = MaxNLocator(3).tick_values(low, low + span)
    panel.set_yticks(ticks[(ticks > low - 0.1 * span) & (ticks < low + 1.1 * span)])
