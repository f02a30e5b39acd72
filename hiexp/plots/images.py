"""Disc images beside the profiles they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hiexp.features.raw import unit_range
from hiexp.plots.canvas import caption, largest_classes, panels, write

EXAMPLES = 4
SIDE = 1.5  # of an image, inches
PROFILE, GAP, TITLE = 0.5, 0.1, 0.2  # height of a profile, of what is between, of a line of text, in sides


def plot_images(
    profiles: np.ndarray, predicted: np.ndarray, transform: Callable[[np.ndarray], np.ndarray], file: Path
) -> None:
    """Draw a few members of each predicted class: the profile above its image.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        mJy; drawn scaled to 0..1, with a mark at the middle, about which differences are taken.
    predicted : ndarray, shape (N,)
        Classes.
    transform : callable
        From profiles to images, shape (N, channels, height, width). RGB, 0..1, is drawn as it is; one channel in
        the study's colours: with values below 0 from -1 (red) to 1 (blue), without from 0 (pale) to 1 (black).
    file : Path
        The PNG to write.
    """
    classes, counts, words = largest_classes(predicted)
    examples = [np.flatnonzero(predicted == name)[:EXAMPLES] for name in classes]
    images = [transform(profiles[members]) for members in examples]
    differences = any(shown.min() < 0 for shown in images)
    colours = {"cmap": "RdBu", "vmin": -1, "vmax": 1} if differences else {"cmap": "magma_r", "vmin": 0, "vmax": 1}
    # One panel holds all of them, in units of an image's side: a panel each takes most of the time otherwise.
    line_height, width = PROFILE + 1 + 2 * GAP + TITLE, EXAMPLES * (1 + GAP)
    height = line_height * len(examples)
    figure, (panel,) = panels(1, 1, (SIDE * width, SIDE * height), left=0.15, right=1.1, bottom=0.05, top=0.4)
    axis = np.linspace(0, 1, profiles.shape[1])
    for line, (name, count, members) in enumerate(zip(classes, counts, examples, strict=True)):
        top = height - line * line_height - TITLE
        title = f"class {name}: {len(members)} of {count} profile{'s' if count > 1 else ''}"
        panel.text(0, top + GAP, title, fontsize=10)
        for column, (curve, image) in enumerate(zip(unit_range(profiles[members]), images[line], strict=True)):
            left, foot = column * (1 + GAP), top - PROFILE
            panel.plot([left + 0.5] * 2, [foot, top], color="0.8", lw=0.8)
            panel.plot(left + axis, foot + PROFILE * curve, color="C0", lw=1)
            place = (left, left + 1, foot - GAP - 1, foot - GAP)
            drawn = panel.imshow(np.moveaxis(image, 0, -1).squeeze(), extent=place, aspect="auto", **colours)
    panel.set(xlim=(0, width), ylim=(0, height))
    panel.set_axis_off()
    caption(figure, f"Profiles and the images made of them, by predicted class{words}")
    if images[0].shape[1] == 1:
        bar = figure.add_axes((1 - 0.95 / figure.get_figwidth(), 0.25, 0.2 / figure.get_figwidth(), 0.5))
        figure.colorbar(drawn, bar, label="pixel value")
    write(figure, file)
