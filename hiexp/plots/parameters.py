"""What is known of the galaxies of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.plots.figure import SMALL, caption, class_line, largest_classes, panels, set_logarithmic, short
from hiexp.plots.labels import name_axis

COLUMNS, BINS, TICKS = 3, 30, 5
SIZE, GAP = (1.95, 1.3), (0.35, 0.52)  # of a panel and between two, inches
LEGEND_LINE, LEGEND_LETTER = 0.15, 0.05  # height of a line and width of a letter, inches
EPSILON2 = r"$\epsilon^2$"
WIDE = 30  # ratio of the ends of an axis from which on it is logarithmic


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
        What `dependence` returns; its ``epsilon2`` stands in the titles.
    file : Path
        The PNG to write.
    """
    names, counts, words = largest_classes(classes)
    labels = [f"class {short(name)}: {count}" for name, count in zip(names, counts, strict=True)]
    number = parameters.shape[1]
    entry = 0.5 + LEGEND_LETTER * max(map(len, labels))
    columns = max(1, int(min(number, COLUMNS) * (SIZE[0] + GAP[0]) / entry))
    bottom = 0.42 + LEGEND_LINE * -(-len(names) // columns)
    top = 0.45 if number >= COLUMNS else 0.75 if number > 1 else 0.95  # for a title of several lines
    with panels(file, number, COLUMNS, SIZE, bottom=bottom, top=top, gap=GAP) as (figure, drawn):
        for parameter, panel in zip(map(str, parameters), drawn, strict=True):
            values = parameters[parameter].to_numpy()
            low, high = np.nanpercentile(values, [0.5, 99.5])
            if low > 0 and high > WIDE * low:
                set_logarithmic(panel, low, high)
                bins = np.geomspace(low, high, BINS + 1)
            else:
                panel.locator_params(axis="x", nbins=TICKS)
                half = 0.5 * (abs(low) or 1)
                bins = np.linspace(low, high, BINS + 1) if high > low else np.array([low - half, low + half])
            for place, (name, label) in enumerate(zip(names, labels, strict=True)):
                members = values[(classes == name) & np.isfinite(values)]
                panel.stairs(*np.histogram(members, bins), label=label, **class_line(place))
            panel.locator_params(axis="y", nbins=TICKS, integer=True)
            panel.xaxis.get_offset_text().set_fontsize(SMALL)
            name_axis(panel.xaxis, parameter)
            if parameter in strength.index:
                panel.set_title(f"{EPSILON2} = {strength['epsilon2'][parameter]:.3f}", parse_math=True)
        title = f"Parameters by predicted class{words}; {EPSILON2}: share of the ranks' variance between classes"
        caption(figure, title, y="objects", math=True)
        figure.legend(*drawn[0].get_legend_handles_labels(), loc="lower center", ncols=columns)
