"""What is known of the galaxies of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.plots.canvas import largest_classes, new_figure, write

COLUMNS, BINS = 3, 30
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
    columns = min(COLUMNS, parameters.shape[1])
    lines = -(-parameters.shape[1] // columns)
    figure = new_figure(3.6 * columns, 2.7 * lines + 0.8)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for parameter, panel in zip(parameters, panels, strict=False):
        values = parameters[parameter].to_numpy()
        low, high = np.nanpercentile(values, [0.5, 99.5])
        if low > 0 and high > WIDE * low:
            edges = np.geomspace(low, high, BINS + 1)
            panel.set_xscale("log")
        else:
            edges = np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
        for number, name in enumerate(names):
            members = values[(classes == name) & np.isfinite(values)]
            panel.hist(members, edges, histtype="step", color=f"C{number % 10}", lw=1.4)
        unit = UNITS.get(parameter)
        panel.set_xlabel(f"{parameter} ({unit})" if unit else parameter)
        if parameter in strength.index:
            panel.set_title(f"ε² = {strength.loc[parameter, 'epsilon2']:.3f}", fontsize=10)
    for panel in panels:
        panel.set_visible(False)
    figure.supylabel("objects", fontsize=10)
    figure.suptitle(
        f"Parameters by predicted class{words}; ε²: share of the ranks' variance between classes", fontsize=11
    )
    handles = list(figure.axes[0].patches)
    figure.legend(
        handles,
        [f"class {name}: {count}" for name, count in zip(names, counts, strict=True)],
        loc="outside lower center",
        ncols=min(len(names), 5),
        fontsize=9,
    )
    write(figure, file)
