"""The profiles of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection

from hiexp.features.raw import unit_range
from hiexp.plots.canvas import caption, draw_ticks, entitle, largest_classes, panels, write

COLUMNS = 4
LINES_A_CLASS = 150
SAMPLES = 333  # of a profile drawn, at least, where it has as many


def plot_classes(profiles: np.ndarray, predicted: np.ndarray, file: Path) -> None:
    """Draw one panel a predicted class: its profiles, their median and 16-84 % range.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        mJy; drawn scaled to 0..1. At most 150 a class are drawn as lines, evenly taken from the sample.
    predicted : ndarray, shape (N,)
        Classes.
    file : Path
        The PNG to write.
    """
    classes, counts, words = largest_classes(predicted)
    figure, axes = panels(len(classes), COLUMNS, (3, 2.3), bottom=0.6, top=0.6, shared=True)
    # Window of the fit stage from edge to edge, whatever its width in km/s; about a sample a pixel.
    axis = np.linspace(-1, 1, profiles.shape[1])
    drawn = slice(None, None, max(1, profiles.shape[1] // SAMPLES))
    for place, (panel, name, count) in enumerate(zip(axes, classes, counts, strict=True)):
        members = unit_range(profiles[predicted == name])[:, drawn]
        shown = members[:: -(-count // LINES_A_CLASS)]
        lines = np.stack(np.broadcast_arrays(axis[drawn], shown), axis=2)
        panel.add_collection(LineCollection(lines, color="0.6", lw=0.5, alpha=0.5))
        low, median, high = np.percentile(np.ascontiguousarray(members.T), [16, 50, 84], axis=1)
        panel.fill_between(axis[drawn], low, high, color="C0", alpha=0.25, lw=0)
        panel.plot(axis[drawn], median, color="C0", lw=1.8)
        panel.set(xlim=(-1.05, 1.05), ylim=(-0.05, 1.05))
        draw_ticks(panel, labelled=(place + COLUMNS >= len(axes), place % COLUMNS == 0))
        entitle(panel, f"class {name}: {count} profile{'s' if count > 1 else ''}")
    title = f"Profiles by predicted class{words}: each (grey), median and 16-84 % (blue)"
    caption(figure, title, x="velocity from the line's centre / half window", y="flux density, scaled to 0..1")
    write(figure, file)
