"""Disc images beside the profiles they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hiexp.features.raw import unit_range
from hiexp.plots.canvas import caption, largest_classes, new_figure, put_text, write
from hiexp.plots.panel import Panel, colour_bar, round_values

EXAMPLES = 4
SIDE, PROFILE = 1.5, 0.75  # of an image and height of a profile, inches
GAP, LINE = 0.15, 0.3  # between images, and height of a line of text, inches
LEFT, RIGHT, BOTTOM, TOP = 0.15, 1.1, 0.1, 0.35  # margins, inches


def image_colours(images: Sequence[np.ndarray]) -> dict[str, Any]:
    """Return the study's colours for images of one channel.

    With values below 0 from -1 (red) to 1 (blue), without from 0 (pale) to 1 (black).
    """
    differences = any(shown.min() < 0 for shown in images)
    return {"cmap": "RdBu", "vmin": -1, "vmax": 1} if differences else {"cmap": "magma_r", "vmin": 0, "vmax": 1}


def draw_profile(panel: Panel, profile: np.ndarray) -> None:
    """Draw a profile scaled to 0..1, with a mark at the middle, about which differences are taken."""
    panel.plot([0.5, 0.5], [0, 1], color="0.8", lw=0.8)
    panel.plot(np.linspace(0, 1, profile.size), unit_range(profile[None])[0], color="C0", lw=1)


def plot_images(
    profiles: np.ndarray, predicted: np.ndarray, transform: Callable[[np.ndarray], np.ndarray], file: Path
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
    """
    classes, counts, words = largest_classes(predicted)
    examples = [np.flatnonzero(predicted == name)[:EXAMPLES] for name in classes]
    images = [transform(profiles[members]) for members in examples]
    colours = image_colours(images)
    block = LINE + PROFILE + GAP / 2 + SIDE + GAP
    width, height = EXAMPLES * (SIDE + GAP), len(examples) * block
    figure = new_figure(LEFT + width + RIGHT, BOTTOM + height + TOP, layout=None)
    for line, (name, count, members) in enumerate(zip(classes, counts, examples, strict=True)):
        top = BOTTOM + height - line * block - LINE
        put_text(
            figure, LEFT, top + 0.1, f"class {name}: {len(members)} of {count} profile{'s' if count > 1 else ''}"
        )
        for column, (profile, image) in enumerate(zip(profiles[members], images[line], strict=True)):
            left, foot = LEFT + column * (SIDE + GAP), top - PROFILE
            draw_profile(Panel(figure, left, foot, SIDE, PROFILE), profile)
            below = Panel(figure, left, foot - GAP / 2 - SIDE, SIDE, SIDE)
            below.show(np.moveaxis(image, 0, -1).squeeze(), **colours)
    caption(figure, f"Profiles and the images made of them, by predicted class{words}")
    if images[0].shape[1] == 1:
        ticks = round_values(colours["vmin"], colours["vmax"])
        colour_bar(figure, LEFT + width, BOTTOM + height / 4, height / 2, ticks, "pixel value", colours["cmap"])
    write(figure, file)
