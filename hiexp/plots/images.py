"""Disc images beside the profiles they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hiexp.features.raw import unit_range
from hiexp.plots.figure import SMALL, caption, largest_classes, panels, short

EXAMPLES = 4
SIDE = 1.1  # of an image, inches
MARGINS, GAP = {"left": 0.1, "right": 0.8, "bottom": 0.18, "top": 0.5}, (0.1, 0.32)  # inches
PROFILE = (1.06, 0.5)  # where the profile above it begins, and how high it is, in sides of the image


def image_colours(images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Return the study's colours for images of one channel.

    With values below 0 from -1 (red) to 1 (blue), without from 0 (pale) to 1 (black).
    """
    differences = any(shown.min() < 0 for shown in images)
    return {"cmap": "RdBu", "vmin": -1, "vmax": 1} if differences else {"cmap": "magma_r", "vmin": 0, "vmax": 1}


def reach(window: np.ndarray) -> str:
    """Return how far a window reaches from its middle, as it stands beside a profile that has no axis."""
    return f"±{np.ptp(window) / 2:.0f} km/s"


def draw_profile(panel: Axes, profile: np.ndarray, bottom: float, height: float) -> None:
    """Draw a profile over 0..1, with a mark at the middle, about which differences are taken."""
    panel.plot([0.5, 0.5], [bottom, bottom + height], color="0.8", lw=0.8)
    heights = bottom + height * unit_range(profile[None])[0]
    panel.plot(np.linspace(0, 1, profile.size), heights, color="C0", lw=1, clip_on=False)


def plot_images(
    profiles: np.ndarray,
    predicted: np.ndarray,
    transform: Callable[[np.ndarray], np.ndarray],
    file: Path,
    windows: np.ndarray | None = None,
) -> None:
    """Draw a few members of each predicted class: the profile above its image.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        mJy.
    predicted : ndarray, shape (N,)
        Classes.
    transform : callable
        From profiles to images, shape (N, channels, height, width). RGB, 0..1, is drawn as it is; one channel in
        the study's colours.
    file : Path
        The PNG to write.
    windows : ndarray, shape (N, 2), optional
        Ends of the window that each profile fills, km/s: from its middle as far as is said below an image.
    """
    classes, counts, words = largest_classes(predicted)
    examples = [np.flatnonzero(predicted == name)[:EXAMPLES] for name in classes]
    images = [transform(profiles[members]) for members in examples]
    colours = image_colours(images)
    size = SIDE, sum(PROFILE) * SIDE
    number = EXAMPLES * len(classes)
    with panels(file, number, EXAMPLES, size, gap=GAP, **MARGINS) as (figure, drawn):
        for panel in drawn:
            panel.set_axis_off()
        for line, (name, count, members) in enumerate(zip(classes, counts, examples, strict=True)):
            row = drawn[EXAMPLES * line :]
            title = f"class {short(name)}: {len(members)} of {count} profile{'s' if count > 1 else ''}"
            row[0].set_title(title, loc="left")
            for panel, member, image in zip(row, members, images[line], strict=False):
                draw_profile(panel, profiles[member], *PROFILE)
                if windows is not None:
                    panel.text(0.5, -0.03, reach(windows[member]), ha="center", va="top", fontsize=SMALL)
                shown = panel.imshow(np.moveaxis(image, 0, -1).squeeze(), extent=(0, 1, 0, 1), **colours)
                panel.set(xlim=(0, 1), ylim=(0, sum(PROFILE)))
        caption(figure, f"Profiles and the images made of them, by predicted class{words}")
        if images[0].shape[1] == 1:
            width = figure.get_figwidth()
            bar = figure.add_axes((1 - 0.68 / width, 0.25, 0.12 / width, 0.5))
            figure.colorbar(shown, cax=bar, label="pixel value", ticks=MaxNLocator(4))
