"""What is known of the galaxies of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.plots.canvas import caption, draw_ticks, entitle, largest_classes, make_logarithmic, panels, write

COLUMNS, BINS = 3, 30
LEGEND_COLUMNS = 6
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
    legend_lines = -(-len(names) // LEGEND_COLUMNS)
    figure, axes = panels(
        parameters.shape[1], COLUMNS, (3.2, 2.1), bottom=0.6 + 0.22 * legend_lines, top=0.6, gap=(0.5, 0.75)
    )
    for parameter, panel in zip(parameters, axes, strict=True):
        values = parameters[parameter].to_numpy()
        low, high = np.nanpercentile(values, [0.5, 99.5])
        if low > 0 and high > WIDE * low:
            edges = np.geomspace(low, high, BINS + 1)
            panel.set_xlim(low, high)
            make_logarithmic(panel)
        else:
            edges = np.linspace(low, high, BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
        for number, name in enumerate(names):
            members = values[(classes == name) & np.isfinite(values)]
            panel.stairs(np.histogram(members, edges)[0], edges, color=f"C{number % 10}", lw=1.4)
        panel.set_ylim(bottom=0)
        unit = UNITS.get(parameter)
        draw_ticks(panel, f"{parameter} ({unit})" if unit else parameter)
        if parameter in strength.index:
            entitle(panel, f"ε² = {strength.loc[parameter, 'epsilon2']:.3f}")
    title = f"Parameters by predicted class{words}; ε²: share of the ranks' variance between classes"
    caption(figure, title, y="objects")
    figure.legend(
        axes[0].patches,
        [f"class {name}: {count}" for name, count in zip(names, counts, strict=True)],
        loc="lower center",
        ncols=min(len(names), LEGEND_COLUMNS),
        fontsize=9,
    )
    write(figure, file)
