"""What the numbers of a search are worth: whole searches over data in which the truth is known, again and again.

    python benchmarks/search.py [--repetitions 200] [--trials 40] [--objects 240]

A cheap classifier (the nearest class centre, each feature with a weight) is searched over its weights by TPE and at
random, steered by the balanced accuracy of inner validation parts: where classes and features have nothing to do
with each other, so that every p has to be uniform, and where they have. True is the score of fresh objects.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
from scipy.stats import kstest
from sklearn.model_selection import StratifiedShuffleSplit

from hiexp.evaluation.objective import objective_score
from hiexp.evaluation.scores import score
from hiexp.evaluation.selection import judge_sweep
from hiexp.sweep.space import Space
from hiexp.sweep.storage import quiet_optuna
from hiexp.sweep.study import sampler_of

FEATURES, CLASSES, MEASURE = 8, 3, "balanced_accuracy"
FRESH = 20_000  # objects, of which the true score of a configuration is taken
DRAWS = 200


@dataclass(frozen=True)
class Worth:
    """What one search says, and what is true.

    Attributes
    ----------
    inner : float
        The best score that steered the search.
    p_inner, corrected, corrected_low, corrected_high : float
        What `judge_sweep` says of the best inner score: the family-wise p of the configurations as they are, and the
        score corrected by the bootstrap.
    outer, low, high, p : float
        The chosen configuration on objects held out: score, interval and p.
    true : float
        Its score on fresh objects.
    true_inner : float
        The mean score on fresh objects of the same configuration, learned from the inner training parts.
    """

    inner: float
    p_inner: float
    corrected: float
    corrected_low: float
    corrected_high: float
    outer: float
    low: float
    high: float
    p: float
    true: float
    true_inner: float


def drawn(rng: np.random.Generator, n_objects: int, signal: float) -> tuple[np.ndarray, np.ndarray]:
    """Return features, shape (N, 8), of which two tell something of the classes, and classes, shape (N,)."""
    classes = np.arange(n_objects) % CLASSES
    features = rng.standard_normal((n_objects, FEATURES))
    features[:, :2] += signal * np.stack([classes == 1, classes == 2], axis=1)
    return features, classes


def nearest(X: np.ndarray, y: np.ndarray, weights: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the class of the nearest weighted centre of the training objects, shape (M,)."""
    centres = np.stack([X[y == name].mean(axis=0) for name in range(CLASSES)])
    distances = (((asked[:, None] - centres) ** 2) * weights).sum(axis=2)
    return distances.argmin(axis=1)


def searched(
    seed: int, n_trials: int, n_objects: int, signal: float, sampler: str = "tpe", n_splits: int = 1
) -> Worth:
    """Return what one search says, and what is true."""
    rng = np.random.default_rng([seed, 17])
    X, y = drawn(rng, n_objects, signal)
    fresh, truth = drawn(rng, FRESH, signal)
    ((train, test),) = StratifiedShuffleSplit(1, test_size=0.3, random_state=seed).split(X, y)
    inner = list(StratifiedShuffleSplit(n_splits, test_size=0.3, random_state=seed).split(X[train], y[train]))
    space = Space.of(None, {f"w{place}": "interval(0,1)" for place in range(FEATURES)}, None, [])
    predictions, found, best = {}, [], -np.inf
    with quiet_optuna():
        study = optuna.create_study(direction="maximize")
        for number in range(n_trials):
            study.sampler = sampler_of(sampler, space, [seed, 0, number])
            trial = study.ask()
            weights = np.array([float(word.partition("=")[2]) for word in space.suggested(trial)])
            scores, tables = [], []
            for repeat, (learn, validate) in enumerate(inner):
                rows = train[validate]
                said = nearest(X[train[learn]], y[train[learn]], weights, X[rows])
                scores.append(objective_score(MEASURE, y[rows], said))
                ids = rows.astype(str)
                tables.append(
                    pd.DataFrame(
                        {"id": ids, "split": "test", "reference": y[rows], "predicted": said, "repeat": repeat}
                    )
                )
            predictions[str(number)] = pd.concat(tables)
            value = float(np.mean(scores))
            study.tell(trial, value)
            if value > best:
                best, found = value, weights
    verdict = judge_sweep(predictions, MEASURE, DRAWS, seed)
    said = nearest(X[train], y[train], found, X[test])
    numbers = score(y[test], said, DRAWS, seed).metrics()
    true = objective_score(MEASURE, truth, nearest(X[train], y[train], found, fresh))
    of_inner = [
        objective_score(MEASURE, truth, nearest(X[train[learn]], y[train[learn]], found, fresh)) for learn, _ in inner
    ]
    return Worth(
        inner=best,
        p_inner=float(verdict.best["p_family"]),
        corrected=float(verdict.best["corrected"]),
        corrected_low=float(verdict.best["corrected_low"]),
        corrected_high=float(verdict.best["corrected_high"]),
        outer=numbers[MEASURE],
        low=numbers[f"low_{MEASURE}"],
        high=numbers[f"high_{MEASURE}"],
        p=numbers[f"p_{MEASURE}"],
        true=true,
        true_inner=float(np.mean(of_inner)),
    )


def table(worths: list[Worth]) -> Iterator[str]:
    """Yield what many searches say of the numbers, a line each."""
    columns = pd.DataFrame(worths)
    n = len(columns)

    def bias(name: str, true: str) -> str:
        error = columns[name] - columns[true]
        return f"{error.mean():+.4f} +- {error.std() / np.sqrt(n):.4f}"

    def within(low: str, high: str, true: str) -> str:
        return f"{np.mean((columns[low] <= columns[true]) & (columns[true] <= columns[high])):.3f}"

    yield f"best inner score minus its true value    {bias('inner', 'true_inner')}"
    held = f"95 % interval holds it: {within('corrected_low', 'corrected_high', 'true_inner')}"
    yield f"  the same, corrected by the bootstrap   {bias('corrected', 'true_inner')}   {held}"
    held = f"95 % interval holds it: {within('low', 'high', 'true')}"
    yield f"score held out minus its true value      {bias('outer', 'true')}   {held}"
    for name, words in {"p": "held out", "p_inner": "family-wise, inner, trials as they are"}.items():
        shares = ", ".join(f"{level}: {np.mean(columns[name] <= level):.3f}" for level in (0.05, 0.1, 0.25, 0.5))
        yield f"p ({words}) at most {shares}; Kolmogorov-Smirnov p = {kstest(columns[name], 'uniform').pvalue:.3f}"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--objects", type=int, default=240)
    parser.add_argument("--splits", type=int, default=1)
    options = parser.parse_args()
    for sampler in ("tpe", "random"):
        for signal, words in {
            0.0: "classes independent of the features",
            0.7: "classes told by two features",
        }.items():
            worths = [
                searched(seed, options.trials, options.objects, signal, sampler, options.splits)
                for seed in range(options.repetitions)
            ]
            print(f"\n{sampler}, {words}: {options.repetitions} searches of {options.trials} trials")
            print("\n".join(table(worths)), flush=True)


if __name__ == "__main__":
    main()
