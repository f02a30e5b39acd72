"""What is known of the galaxies of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.plots.figure import caption, class_line, largest_classes, panels, set_logarithmic, short

COLUMNS, BINS, TICKS = 3, 30, 6
SIZE, GAP = (3.2, 2.1), (0.5, 0.75)  # of a panel and between two, inches
LEGEND_LINE, LEGEND_LETTER = 0.22, 0.08  # height of a line and width of a letter, inches
WIDE = 30  # ratio of the ends of an axis from which on it is logarithmic
UNITS = {
    "HIflux": "Jy km/s",
    "Vhel": "km/s",
    "Dist": "Mpc",
    "W50": "km/s",
    "W20": "km/s",
    "logMHI": "log solar masses",
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
        What `dependence` returns; its ``epsilon2`` stands in the titles.
    file : Path
        The PNG to write.
    """
    names, counts, words = largest_classes(classes)
    labels = [f"class {short(name)}: {count}" for name, count in zip(names, counts, strict=True)]
    number = parameters.shape[1]
    entry = 0.6 + LEGEND_LETTER * max(map(len, labels))
    columns = max(1, int(min(number, COLUMNS) * (SIZE[0] + GAP[0]) / entry))
    bottom = 0.65 + LEGEND_LINE * -(-len(names) // columns)
    top = 0.65 if number >= COLUMNS else 1.0  # for a title of several lines
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
                panel.stairs(*np.histogram(members, bins), lw=1.4, label=label, **class_line(place))
            panel.locator_params(axis="y", nbins=TICKS, integer=True)
            panel.xaxis.get_offset_text().set_fontsize(8)
            unit = UNITS.get(parameter)
            panel.set_xlabel(f"{short(parameter)} ({unit})" if unit else short(parameter))
            if parameter in strength.index:
                panel.set_title(f"ε² = {strength['epsilon2'][parameter]:.3f}")
        title = f"Parameters by predicted class{words}; ε²: share of the ranks' variance between classes"
        caption(figure, title, y="objects")
        figure.legend(*drawn[0].get_legend_handles_labels(), loc="lower center", ncols=columns)
