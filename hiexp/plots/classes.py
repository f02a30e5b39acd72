"""The profiles of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hiexp.features.raw import unit_range
from hiexp.plots.figure import caption, largest_classes, panels, short

COLUMNS = 4
LINES_A_CLASS = 60
MOST_A_CLASS = 20_000  # profiles, evenly taken from the sample, whose quantiles are drawn
SAMPLES = 333  # of a profile drawn, at least, where it has as many


def plot_classes(profiles: np.ndarray, predicted: np.ndarray, file: Path | None = None) -> Figure:
    """Draw one panel a predicted class: its profiles, their median and 16-84 % range.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        mJy; drawn scaled to 0..1. At most 60 a class are drawn as lines, evenly taken from the sample.
    predicted : ndarray, shape (N,)
        Classes.
    file : Path, optional
        The PNG to write.

    Returns
    -------
    Figure
        Shown by a notebook as it is written.
    """
    classes, counts, words = largest_classes(predicted)
    # Window of the fit stage from edge to edge, whatever its width in km/s; about a sample a pixel.
    step = max(1, profiles.shape[1] // SAMPLES)
    axis = np.linspace(-1, 1, profiles.shape[1])[::step]
    top = 0.65 if len(classes) > 1 else 0.8  # for a title of several lines
    with panels(file, len(classes), COLUMNS, (3, 2.3), bottom=0.6, top=top) as (figure, drawn):
        for place, (panel, name, count) in enumerate(zip(drawn, classes, counts, strict=True)):
            rows = np.flatnonzero(predicted == name)
            members = unit_range(profiles[rows[:: -(-count // MOST_A_CLASS)]])[:, ::step]
            shown = members[:: -(-len(members) // LINES_A_CLASS)]
            lines = np.stack(np.broadcast_arrays(axis, shown), axis=2)
            panel.add_collection(LineCollection(list(lines), color="0.6", lw=0.5, alpha=0.5))
            low, median, high = np.percentile(np.ascontiguousarray(members.T), [16, 50, 84], axis=1)
            panel.fill_between(axis, low, high, color="C0", alpha=0.25, lw=0)
            panel.plot(axis, median, color="C0", lw=1.8)
            panel.set(xlim=(-1.05, 1.05), ylim=(-0.05, 1.05), xticks=(-1, 0, 1), yticks=(0, 0.5, 1))
            panel.set_title(f"class {short(name)}: {count} profile{'s' if count > 1 else ''}")
            panel.tick_params(labelbottom=place + COLUMNS >= len(drawn), labelleft=place % COLUMNS == 0)
        of = "all" if max(counts) <= MOST_A_CLASS else f"at most {MOST_A_CLASS:,}"
        title = (
            f"Profiles by predicted class{words}: {LINES_A_CLASS} at most (grey), median and 16-84 % of {of} (blue)"
        )
        caption(figure, title, x="velocity from the line's centre / half window", y="flux density, scaled to 0..1")
    return figure
