"""Disc images beside the profiles they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hiexp.features.raw import unit_range
from hiexp.plots.canvas import largest_classes, new_figure, write

EXAMPLES = 4


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
    figure = new_figure(1.7 * EXAMPLES + 1, 2.6 * len(examples) + 0.4)
    grid = figure.subplots(2 * len(examples), EXAMPLES, squeeze=False, height_ratios=[0.55, 1] * len(examples))
    for panel in grid.flat:
        panel.set_axis_off()
    for line, (name, count, members) in enumerate(zip(classes, counts, examples, strict=True)):
        for column, (member, image) in enumerate(zip(members, images[line], strict=True)):
            above, below = grid[2 * line : 2 * line + 2, column]
            above.axvline((profiles.shape[1] - 1) / 2, color="0.8", lw=0.8)
            above.plot(unit_range(profiles[[member]])[0], color="C0", lw=1)
            drawn = below.imshow(np.moveaxis(image, 0, -1).squeeze(), **colours)
        title = f"class {name}: {len(members)} of {count} profile{'s' if count > 1 else ''}"
        grid[2 * line, 0].set_title(title, fontsize=10, loc="left")
    figure.suptitle(f"Profiles and the images made of them, by predicted class{words}", fontsize=11)
    if images[0].shape[1] == 1:
        figure.colorbar(drawn, ax=grid, label="pixel value", shrink=0.5)
    write(figure, file)
