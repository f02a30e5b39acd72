"""Learned shapelets on the profiles that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.feature_selection import f_classif

from hiexp.features.raw import unit_range
from hiexp.plots.figure import caption, panels, short

if TYPE_CHECKING:  # torch takes seconds to import
    from hiexp.features.shapelets import LearnedShapelets

MOST = 12
COLUMNS = 4


def plot_shapelets(profiles: np.ndarray, classes: np.ndarray, model: LearnedShapelets, file: Path) -> None:
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
    """
    distances, starts = model.transform(profiles), model.locate(profiles)
    with np.errstate(divide="ignore", invalid="ignore"):
        separation = np.nan_to_num(f_classif(distances, classes)[0], nan=0)
    order = np.argsort(-separation, kind="stable")[:MOST]
    series = unit_range(profiles) if model.scale else profiles
    nearest = distances[:, order].argmin(axis=0)
    with panels(file, len(order), COLUMNS, (2.9, 1.8), bottom=0.6, top=0.85) as (figure, drawn):
        for panel in drawn[1:]:
            panel.sharey(drawn[0])
        for place, (panel, number, row) in enumerate(zip(drawn, order, nearest, strict=True)):
            shapelet = model.shapelets_[number]
            panel.plot(series[row], color="0.6", lw=1)
            panel.plot(starts[row, number] + np.arange(len(shapelet)), shapelet, color="C2", lw=2)
            panel.set_title(f"{len(shapelet)} samples, class {short(classes[row])}, F = {separation[number]:.3g}")
            panel.tick_params(labelbottom=place + COLUMNS >= len(drawn), labelleft=place % COLUMNS == 0)
        what = f"{len(order)} of {distances.shape[1]} shapelets (red) on the profiles nearest to them (grey)"
        caption(
            figure,
            f"{what}\nfirst those that separate the classes best (F)",
            x="sample of the profile",
            y="flux density, scaled to 0..1" if model.scale else "flux density",
        )
