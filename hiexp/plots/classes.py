"""The profiles of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hiexp.features.raw import unit_range
from hiexp.plots.figure import SMALL, caption, largest_classes, panels
from hiexp.plots.labels import OF_HALF_WINDOW, OFFSET, SCALED
from hiexp.printable import printable

COLUMNS = 4
SIZE, LETTERS = (1.55, 1.15), 14  # of a panel, inches, and of the name of a class
LINES_A_CLASS = 60
MOST_A_CLASS = 20_000  # profiles, evenly taken from the sample, whose quantiles are drawn
SAMPLES = 333  # of a profile drawn, at least, where it has as many


def plot_classes(
    profiles: np.ndarray, predicted: np.ndarray, file: Path | None = None, windows: np.ndarray | None = None
) -> Figure:
    """Draw one panel a predicted class: its profiles, their median and 16-84 % range.

    The axis is in km/s where all windows are equally wide; else it is in half windows, and the median of these, in
    km/s, stands in each panel.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        mJy; drawn scaled to 0..1. At most 60 a class are drawn as lines, evenly taken from the sample.
    predicted : ndarray, shape (N,)
        Classes.
    file : Path, optional
        The PNG to write.
    windows : ndarray, shape (N, 2), optional
        Ends of the window of each profile, km/s.

    Returns
    -------
    Figure
        Shown by a notebook as it is written.
    """
    classes, counts, words = largest_classes(predicted)
    # Window of the fit stage from edge to edge; about a sample a pixel.
    step = max(1, profiles.shape[1] // SAMPLES)
    halves = None if windows is None else np.ptp(windows, axis=1) / 2
    physical = halves is not None and np.allclose(halves, halves[0], rtol=1e-6)
    reach = float(halves[0]) if halves is not None and physical else 1.0
    axis = np.linspace(-reach, reach, profiles.shape[1])[::step]
    top = {1: 0.75, 2: 0.6}.get(len(classes), 0.48)  # for a title of several lines
    with panels(file, len(classes), COLUMNS, SIZE, bottom=0.42, top=top) as (figure, drawn):
        for place, (panel, name, count) in enumerate(zip(drawn, classes, counts, strict=True)):
            rows = np.flatnonzero(predicted == name)
            members = unit_range(profiles[rows[:: -(-count // MOST_A_CLASS)]])[:, ::step]
            shown = members[:: -(-len(members) // LINES_A_CLASS)]
            lines = np.stack(np.broadcast_arrays(axis, shown), axis=2)
            panel.add_collection(LineCollection(list(lines), color="0.6", lw=0.3, alpha=0.5, rasterized=True))
            low, median, high = np.percentile(np.ascontiguousarray(members.T), [16, 50, 84], axis=1)
            panel.fill_between(axis, low, high, color="C0", alpha=0.25, lw=0)
            panel.plot(axis, median, color="C0", lw=1.4)
            panel.set(
                xlim=(-1.05 * reach, 1.05 * reach),
                ylim=(-0.05, 1.05 if physical or halves is None else 1.22),
                yticks=(0, 0.5, 1),
            )
            panel.locator_params(axis="x", nbins=4) if physical else panel.set_xticks((-1, 0, 1))
            title = f"class {printable(str(name), LETTERS)}: {count} profile{'s' if count > 1 else ''}"
            panel.set_title(title, fontsize=SMALL)
            if halves is not None and not physical:
                half = f"half window {np.median(halves[rows]):.0f} km/s"
                panel.text(0.97, 0.95, half, ha="right", va="top", fontsize=6, transform=panel.transAxes)
            panel.tick_params(labelbottom=place + COLUMNS >= len(drawn), labelleft=place % COLUMNS == 0)
        of = "all" if max(counts) <= MOST_A_CLASS else f"at most {MOST_A_CLASS:,}"
        title = (
            f"Profiles by predicted class{words}: {LINES_A_CLASS} at most (grey), median and 16-84 % of {of} (blue)"
        )
        caption(figure, title, x=OFFSET if physical else OF_HALF_WINDOW, y=SCALED)
    return figure
