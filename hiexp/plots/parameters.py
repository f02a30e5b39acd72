"""What is known of the galaxies of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.plots.canvas import LEGEND_LINE, caption, largest_classes, legend, write
from hiexp.plots.panel import limits, panels

COLUMNS, BINS = 3, 30
LEGEND_ENTRY = 1.35  # width, inches
WIDE = 30  # ratio of the ends of an axis from which on it is logarithmic
UNITS = {
    "HIflux": "Jy km/s",
    "Vhel": "km/s",
    "Dist": "Mpc",
    "W50": "km/s",
    "W20": "km/s",
    "logMHI": "solar masses",
    "rms": "mJy",
}


def plot_parameters_by_class(
    parameters: pd.DataFrame, classes: np.ndarray, strength: pd.DataFrame, file: Path
) -> None:
    """Draw the histogram of each parameter by class, as in the study (Jaimes-Illanes et al. 2025, arXiv:2501.11657).

    Parameters
    ----------
    parameters : DataFrame
        A row an object, a column a parameter.
    classes : ndarray, shape (N,)
        Classes.
    strength : DataFrame
        Of `dependence`; its ``epsilon2`` stands in the titles.
    file : Path
        The PNG to write.
    """
    names, counts, words = largest_classes(classes)
    colours = [f"C{place % 10}" for place in range(len(names))]
    number, size, gap = parameters.shape[1], (3.2, 2.1), (0.5, 0.75)
    columns = int(min(number, COLUMNS) * size[0] / LEGEND_ENTRY)
    lines = -(-len(names) // columns)
    top = 0.6 if number >= COLUMNS else 1.0  # for a title of several lines
    figure, drawn = panels(number, COLUMNS, size, bottom=0.65 + LEGEND_LINE * lines, top=top, gap=gap)
    for parameter, panel in zip(parameters, drawn, strict=True):
        values = parameters[parameter].to_numpy()
        low, high = np.nanpercentile(values, [0.5, 99.5])
        panel.logarithmic = low > 0 and high > WIDE * low
        if panel.logarithmic:
            edges = np.geomspace(low, high, BINS + 1)
            panel.x = low, high
        else:
            edges = np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
            panel.x = limits(edges)
        bars = [np.histogram(values[(classes == name) & np.isfinite(values)], edges)[0] for name in names]
        panel.y = 0, 1.05 * max(1, np.max(bars))
        for colour, heights in zip(colours, bars, strict=True):
            panel.plot(np.repeat(edges, 2), [0, *np.repeat(heights, 2), 0], color=colour, lw=1.4)
        unit, title = UNITS.get(parameter), ""
        if parameter in strength.index:
            title = f"ε² = {strength.loc[parameter, 'epsilon2']:.3f}"
        panel.draw_axes(f"{parameter} ({unit})" if unit else parameter, title=title)
    title = f"Parameters by predicted class{words}; ε²: share of the ranks' variance between classes"
    caption(figure, title, y="objects")
    entries = {f"class {name}: {count}": colour for name, count, colour in zip(names, counts, colours, strict=True)}
    legend(figure, entries, LEGEND_LINE * (lines - 0.5) + 0.05, columns, LEGEND_ENTRY)
    write(figure, file)
