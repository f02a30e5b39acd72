"""Scores of a user's own: functions of true classes and predictions, as scikit-learn's metrics are."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Mapping

import numpy as np
from tqdm import trange

from hiexp.errors import InputError
from hiexp.printable import printable

OF_PROBABILITIES = ("y_score", "y_proba", "y_prob")  # what scikit-learn calls such an argument
LEAST = 0.5  # of the draws that have to have a value: of fewer the rest is not like all

log = logging.getLogger(__name__)


def own_scores(
    functions: Mapping[str, Callable],
    truth: np.ndarray,
    predicted: np.ndarray,
    probability: np.ndarray | None,
    n_draws: int,
    seed: np.random.SeedSequence,
) -> tuple[dict[str, float], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return scores, those of objects drawn with replacement, and those under permuted truth, by name.

    A function that raises an error, or returns no finite number, is left out with a warning; for a draw that it
    cannot score, of objects of one class for example, it has NaN, and for all draws where it cannot score half.

    Parameters
    ----------
    functions : mapping of str to callable
        By the name of the score. Each is called with the true classes, shape (N,), and the predicted ones, shape
        (N,), and returns a number. One whose second argument is called ``y_score``, ``y_proba`` or ``y_prob`` is
        called with class probabilities, shape (N, C), columns in the order of the classes, instead; of two classes
        with those of the second, shape (N,), as scikit-learn's scorers do.
    truth : ndarray of int, shape (N,)
        Classes.
    predicted : ndarray of int, shape (R, N)
        Classes by the classifier; of R repeats, over which every score is averaged.
    probability : ndarray, shape (R, N, C), or None
        Class probabilities.
    n_draws : int
        Permutations, and samples of objects.
    seed : SeedSequence
        Seed of the random draws, the same for every function.
    """
    observed: dict[str, float] = {}
    drawn: dict[str, np.ndarray] = {}
    chance: dict[str, np.ndarray] = {}
    for name, function in functions.items():
        try:
            said = probability if takes_probabilities(function) else predicted
            if said is None:
                raise InputError("this classifier gives no class probabilities")
            if said is probability and said.shape[-1] == 2:
                said = said[..., 1]
            value = _mean(function, truth, said)
        except (Exception, SystemExit) as error:  # of whatever it is; nothing that has been learned is lost by it
            log.warning("metrics.%s: %s: %s; left out", name, type(error).__name__, printable(str(error)))
            continue
        rng, again, shuffled = np.random.default_rng(seed), np.empty(n_draws), np.empty(n_draws)
        for draw in trange(n_draws, desc=f"metrics.{name} by chance", unit="draw", delay=2, leave=False):
            rows = rng.integers(len(truth), size=len(truth))
            again[draw] = _mean_or_nan(function, truth[rows], said[:, rows])
            shuffled[draw] = _mean_or_nan(function, rng.permutation(truth), said)
        for values, what in ((again, "interval"), (shuffled, "chance level")):
            if (n_valid := np.isfinite(values).sum()) < LEAST * n_draws:
                log.warning("metrics.%s has a value for %d of %d draws alone: no %s", name, n_valid, n_draws, what)
                values[:] = np.nan
        observed[name], drawn[name], chance[name] = value, again, shuffled
    return observed, drawn, chance


def takes_probabilities(function: Callable) -> bool:
    """Return whether a metric is one of class probabilities, by the name of its second argument.

    Raises
    ------
    InputError
        If it has no second argument.
    """
    names = [*inspect.signature(function).parameters]
    if len(names) < 2:
        raise InputError("it has to take two arguments, true and predicted classes")
    return names[1] in OF_PROBABILITIES


def _mean(function: Callable, truth: np.ndarray, said: np.ndarray) -> float:
    value = float(np.mean([float(function(truth.copy(), repeat.copy())) for repeat in said]))
    if not np.isfinite(value):
        raise ValueError(f"it returns {value}")
    return value


def _mean_or_nan(function: Callable, truth: np.ndarray, said: np.ndarray) -> float:
    try:
        with warnings.catch_warnings(action="ignore"):
            return _mean(function, truth, said)
    except (Exception, SystemExit):  # the objects themselves it has scored
        return np.nan
