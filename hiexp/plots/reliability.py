"""What the probabilities of a classifier are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from hiexp.errors import InputError
from hiexp.plots.figure import SMALL, caption, largest_classes, panels, short
from hiexp.spectra import UNKNOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hiexp.run.outcome import Outcome

COLUMNS = 3
X, Y = (-0.04, 1.14), (-0.04, 1.04)  # ends of the axes: points at 0 and at 1 are whole, and their numbers have room


def reliability(outcome: Outcome, bins: int = 5) -> Figure:
    """Draw how often held-out objects are of a class against how probable the classifier says that is.

    Points of a classifier whose probabilities are right lie on the diagonal. Error bars are 95 % intervals of the
    binomial distribution (Clopper & Pearson 1934, Biometrika 26, 404).

    Parameters
    ----------
    outcome : Outcome
        What a training has given; of several folds, the objects that each has held out, of repeats the first.
    bins : int
        Number of ranges of probability, equally wide; empty ones have no point.

    Raises
    ------
    InputError
        If the classifier gives no probabilities.
    """
    truth = outcome.parts[0].assigned.classes if outcome.reference is None else outcome.reference
    said, true = [], []
    for part in (part for part in outcome.parts if part.division.repeat == 1):
        if part.probability is None:
            raise InputError("this classifier gives no class probabilities; choose another classifier")
        test = part.division.test[truth[part.division.test] != UNKNOWN]
        columns = np.searchsorted(part.model[-1].classes_, outcome.classes)
        known = np.isin(outcome.classes, part.model[-1].classes_)
        given = part.probability[np.ix_(test, np.where(known, columns, 0))]
        said.append(np.where(known, given, 0))
        true.append(truth[test, None] == outcome.classes)
    probability, right = np.concatenate(said), np.concatenate(true)
    shown, _, words = largest_classes(truth[truth != UNKNOWN])
    shown = shown[np.isin(shown, outcome.classes)]
    with panels(None, len(shown), COLUMNS, (2.05, 2.05), gap=(0.2, 0.5)) as (figure, axes):
        for place, (name, panel) in enumerate(zip(shown, axes, strict=True)):
            column = np.flatnonzero(outcome.classes == name)[0]
            panel.plot([0, 1], [0, 1], color="0.6", lw=1)
            _draw(panel, probability[:, column], right[:, column], bins)
            panel.set(
                xlim=X,
                ylim=Y,
                xticks=(0, 0.5, 1),
                title=f"class {short(name)}, {right[:, column].sum()} objects",
            )
            if place % COLUMNS:
                panel.set_yticklabels([])
        caption(
            figure,
            f"{len(right)} objects held out{words}; numbers: objects of a point",
            "probability by the classifier",
            "fraction that is of the class",
        )
    return figure


def _draw(panel: Axes, probability: np.ndarray, right: np.ndarray, bins: int) -> None:
    """Draw the points of one class, beside each how many objects it stands for."""
    into = np.minimum((probability * bins).astype(int), bins - 1)
    filled = np.unique(into)
    at = np.array([probability[into == one].mean() for one in filled])
    counts = [(int(right[into == one].sum()), int((into == one).sum())) for one in filled]
    fraction = np.array([hits / total for hits, total in counts])
    intervals = np.array([[*binomtest(hits, total).proportion_ci()] for hits, total in counts])
    errors = np.abs(intervals.T - fraction)
    panel.errorbar(at, fraction, yerr=errors, color="C0", marker="o", ms=4, lw=1, capsize=2)
    for x, y, (_, total) in zip(at, fraction, counts, strict=True):
        panel.annotate(str(total), (x, y), (4, -3), textcoords="offset points", va="center", fontsize=SMALL)
