"""What measuring tells of the classes without a classifier: a number divided at its limits, a regression of nine.

A score of held-out objects says what a classifier is worth beside chance. These say what it is worth beside the
numbers that an astronomer has already.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import MinLen
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hiexp.errors import InputError
from hiexp.evaluation.scores import score, score_differences
from hiexp.fitting.measurements import TEXTS
from hiexp.kinds import Name
from hiexp.spectra import UNKNOWN

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Thresholds:
    """The rule that puts an object into class 0, 1, ... by one measurement and the limits that it passes.

    ``A_flux`` with the limits 1.26 and 1.39 is the rule of Espada et al. (2011, A&A 532, A117).

    Parameters
    ----------
    column : str
        Measurement in the table of fits.
    limits : sequence of float
        Values that divide it, K - 1 for the classes 0 to K - 1; a value equal to a limit is below it.
    """

    column: Name
    limits: Annotated[Sequence[float], MinLen(1)]

    def __str__(self) -> str:
        return f"{self.column} divided at {in_words(self.limits)}"

    def values(self, fits: pd.DataFrame) -> np.ndarray:
        """Return the measurement of N objects, shape (N,).

        Raises
        ------
        InputError
            If the table of fits does not have it.
        """
        if self.column not in fits or self.column in TEXTS:
            like = difflib.get_close_matches(self.column, fits.columns.difference(TEXTS), n=1)
            raise InputError(
                f"evaluation.yardstick.column={self.column}: fits.ecsv has no such number"
                f"{f'; do you mean {like[0]}?' if like else ', choose one of its columns, or null'}"
            )
        return fits[self.column].to_numpy(float)

    def classify(self, values: np.ndarray, reference: np.ndarray, train: np.ndarray) -> np.ndarray | None:
        """Return the class of each object by this rule, shape (N,); `UNKNOWN` where it has not been measured.

        Parameters
        ----------
        values : ndarray, shape (N,)
            Measurements; NaN where there is none.
        reference : ndarray of int, shape (N,)
            Reference classes; `UNKNOWN` where there is none.
        train : ndarray of int
            Training objects: their medians tell whether the classes rise with the measurement.

        Returns
        -------
        ndarray or None
            None, and the reason in the log, where the rule is not about these classes: they are not among 0 to K - 1,
            with both ends, or do not rise with the measurement. None, too, where nothing has been measured.
        """
        if np.isnan(values).all():  # of series in which no line was looked for
            return None
        present = np.unique(reference[reference != UNKNOWN])
        if not self.is_about(present):
            log.info(
                "%s is not compared: it has the classes 0 to %d, and these are %s",
                *(self, len(self.limits), ", ".join(map(str, present)) or "none"),
            )
            return None
        known = train[reference[train] != UNKNOWN]
        medians = pd.Series(values[known]).groupby(reference[known]).median()
        if not medians.is_monotonic_increasing:
            log.info(
                "%s is not compared: the classes do not rise with it (medians of the training objects %s)",
                *(self, ", ".join(f"{median:.3g}" for median in medians)),
            )
            return None
        return self.divide(values, present)

    def is_about(self, classes: np.ndarray) -> bool:
        """Tell whether classes, ascending, are among 0 to K - 1, with both ends."""
        return classes.size > 1 and classes[0] == 0 and classes[-1] == len(self.limits)

    def divide(self, values: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Put objects into classes that the rule is about.

        Parameters
        ----------
        values : ndarray, shape (N,)
            Measurements; NaN where there is none.
        classes : ndarray of int, shape (C,)
            Ascending.

        Returns
        -------
        ndarray of int, shape (N,)
            `UNKNOWN` where there is no measurement.
        """
        found = classes[np.searchsorted(self.borders(classes), values, side="left")]
        return np.where(np.isnan(values), UNKNOWN, found)

    def borders(self, classes: np.ndarray) -> list[float]:
        """Return the values that divide classes, ascending.

        Where classes are left out (``n_classes=2`` keeps 0 and 2) those beside the gap are divided midway between
        the limits of what is missing.
        """
        limits = np.sort(self.limits)
        return [float(limits[first:last].mean()) for first, last in pairwise(classes)]


def in_words(limits: Sequence[float]) -> str:
    """Return limits as a sentence has them: ``1.26 and 1.39``."""
    *first, last = (f"{limit:g}" for limit in limits)
    return f"{', '.join(first)} and {last}" if first else last


def regression_classes(measures: np.ndarray, classes: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Return the class of each object by a multinomial logistic regression, shape (N,).

    Parameters
    ----------
    measures : ndarray, shape (N, n)
        Measurements, scaled here to mean 0 and variance 1 over the training objects.
    classes : ndarray of int, shape (N,)
        Classes to learn.
    training : ndarray of int
        Objects to learn from.
    """
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return regression.fit(measures[training], classes[training]).predict(measures)


def beside(
    name: str, truth: np.ndarray, predicted: np.ndarray, other: np.ndarray, n_draws: int, seed: int
) -> dict[str, float]:
    """Return what a yardstick scores, and by how much a classifier does better on the same objects.

    Parameters
    ----------
    name : str
        What the yardstick is called.
    truth : ndarray of int, shape (N,)
        Classes of the objects held out.
    predicted : ndarray of int, shape (N,) or (R, N)
        Classes by the classifier, in R repeats.
    other : ndarray of int, shape (N,) or (R, N)
        Classes by the yardstick; one that has none, `UNKNOWN`, is wrong.
    n_draws : int
        Bootstrap samples, and random swaps of both predictions.
    seed : int
        Seed of the random draws.

    Returns
    -------
    dict
        For each score S of confusion tables ``NAME_S`` and ``S_minus_NAME``, either with the ends of its 95 %
        interval, ``low_`` and ``high_``, the latter with its ``p_``.
    """
    scores = score(truth, other, n_draws, seed)
    differences = score_differences(truth, predicted, other, n_draws, seed)
    own = replace(scores, observed={key: scores.observed[key] for key in differences}).metrics()
    numbers = {}
    for key, difference in differences.items():
        numbers[f"{name}_{key}"] = own[key]
        numbers |= {f"{end}_{name}_{key}": own[f"{end}_{key}"] for end in ("low", "high") if f"{end}_{key}" in own}
        gain = f"{key}_minus_{name}"
        numbers |= {gain: difference.mean, f"low_{gain}": difference.low, f"high_{gain}": difference.high}
        numbers[f"p_{gain}"] = difference.p
    return numbers
