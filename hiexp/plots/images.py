"""Disc images beside the profiles they come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hiexp.features.raw import unit_range
from hiexp.plots.canvas import new_figure, write

EXAMPLES = 4


def plot_images(
    profiles: np.ndarray, predicted: np.ndarray, transform: Callable[[np.ndarray], np.ndarray], file: Path
) -> None:
    """Draw a few members of each predicted class: the profile above its image.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        mJy; drawn scaled to 0..1.
    predicted : ndarray, shape (N,)
        Classes.
    transform : callable
        From profiles to images, shape (N, channels, height, width), of one channel or RGB.
    file : Path
        The PNG to write.
    """
    classes = np.unique(predicted)
    examples = [np.flatnonzero(predicted == name)[:EXAMPLES] for name in classes]
    figure = new_figure(1.7 * EXAMPLES + 1, 2.6 * len(examples) + 0.4)
    grid = figure.subplots(2 * len(examples), EXAMPLES, squeeze=False, height_ratios=[0.55, 1] * len(examples))
    for panel in grid.flat:
        panel.set_axis_off()
    for line, (name, members) in enumerate(zip(classes, examples, strict=True)):
        images = transform(profiles[members])
        for column, (member, image) in enumerate(zip(members, images, strict=True)):
            grid[2 * line, column].plot(unit_range(profiles[[member]])[0], color="C0", lw=1)
            drawn = grid[2 * line + 1, column].imshow(
                np.moveaxis(image, 0, -1).squeeze(), cmap="RdBu", vmin=-1, vmax=1
            )
        grid[2 * line, 0].set_title(f"class {name}", fontsize=10, loc="left")
    figure.suptitle("Profiles and the images made of them, by predicted class", fontsize=11)
    if images.shape[1] == 1:
        figure.colorbar(drawn, ax=grid, label="pixel value", shrink=0.5)
    write(figure, file)
