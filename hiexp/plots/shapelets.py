"""Learned shapelets on the profiles that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.feature_selection import f_classif

from hiexp.features.raw import unit_range
from hiexp.plots.figure import SMALL, caption, panels
from hiexp.plots.labels import FLUX_DENSITY, OF_HALF_WINDOW, OFFSET, SCALED
from hiexp.printable import printable

if TYPE_CHECKING:  # torch takes seconds to import
    from hiexp.features.shapelets import LearnedShapelets

MOST = 12
COLUMNS = 4
SIZE, LETTERS = (1.5, 0.95), 8  # of a panel, inches, and of the name of a class


def plot_shapelets(
    profiles: np.ndarray, classes: np.ndarray, model: LearnedShapelets, file: Path, windows: np.ndarray | None = None
) -> None:
    """Draw shapelets on the profiles nearest to them, at most 12, those that tell the classes apart best first.

    They are ordered by the F statistic of their distances: variance between the classes over that within them.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        As `model` takes them.
    classes : ndarray, shape (N,)
        Two at least.
    model : LearnedShapelets
        Fitted; a `ShapeletClassifier` is one too.
    file : Path
        The PNG to write.
    windows : ndarray, shape (N, 2), optional
        Ends of the window that each profile fills, km/s.
    """
    distances, starts = model.transform(profiles), model.locate(profiles)
    with np.errstate(divide="ignore", invalid="ignore"):
        separation = np.nan_to_num(f_classif(distances, classes)[0], nan=0)
    order = np.argsort(-separation, kind="stable")[:MOST]
    series = unit_range(profiles) if model.scale else profiles
    nearest = distances[:, order].argmin(axis=0)
    with panels(file, len(order), COLUMNS, SIZE, bottom=0.42, top=0.6, gap=(0.1, 0.42)) as (figure, drawn):
        for panel in drawn[1:]:
            panel.sharey(drawn[0])
        for place, (panel, number, row) in enumerate(zip(drawn, order, nearest, strict=True)):
            shapelet = model.shapelets_[number]
            half = 1.0 if windows is None else np.ptp(windows[row]) / 2
            axis = np.linspace(-half, half, series.shape[1])
            first = starts[row, number]
            panel.plot(axis, series[row], color="0.6", lw=0.8)
            panel.plot(axis[first : first + len(shapelet)], shapelet, color="C2", lw=1.8)
            length = (len(shapelet) - 1) * (axis[1] - axis[0])
            extent = f"{length:.2g} half windows" if windows is None else f"{length:.0f} km/s"
            name = printable(str(classes[row]), LETTERS)
            panel.set_title(f"{extent}, class {name}, F = {separation[number]:.3g}", fontsize=SMALL)
            panel.tick_params(labelleft=place % COLUMNS == 0)
            panel.locator_params(axis="x", nbins=4)
        what = f"{len(order)} of {distances.shape[1]} shapelets (thick) on the profiles nearest to them (thin)"
        caption(
            figure,
            f"{what}\nfirst those that separate the classes best (F)",
            x=OF_HALF_WINDOW if windows is None else OFFSET,
            y=SCALED if model.scale else FLUX_DENSITY,
        )
