"""Learned shapelets against tslearn: ``python benchmarks/shapelets.py [speed | trace [n_seeds]]``.

``speed`` takes the settings of conf/feature/shapelet.yaml (26 shapelets, 350 epochs, batches of 10), in CPU time of
the process and in wall-clock time. 159 profiles of 250 samples are learned by both, in three interleaved rounds:
ours in full, tslearn for 9 epochs, the last 8 of them extrapolated to 350; its start by k-means is computed and timed
in the first fit and counted in each round. Then ours alone: 600 profiles of 1,000 samples, 5 epochs extrapolated to
350, and the distances of 31,502.

``trace`` takes the accuracy of three classifiers on the distances of either, on UCR's Trace (100 series of 275
samples to train on, 100 to test, four classes), at equal shapelets, epochs and optimizer, over a few seeds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import numpy as np
from history import record
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from hiexp.datasets import mock_cig
from hiexp.features.shapelets import LearnedShapelets
from hiexp.features.shapelets_tslearn import TslearnShapelets
from hiexp.fitting import fit_none

EPOCHS = 350
FEW = 8
ROUNDS = 3
SURVEY = 31502
TRACE = (([30], [4], 30), ([50, 20], [4, 4], 30), ([100, 50, 30, 10], [10, 8, 5, 3], 50))  # lengths, counts, epochs
CLASSIFIERS = {"KNN(1)": KNeighborsClassifier(1), "SVM": SVC(), "forest": RandomForestClassifier(random_state=0)}


def seconds(call: Callable[[], object]) -> np.ndarray:
    """Return how long `call` takes in CPU time and on the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return np.array([time.process_time() - cpu, time.perf_counter() - wall])


def profiles(n_galaxies: int, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return profiles of `mock_cig` and their classes."""
    spectra = mock_cig(n_galaxies)
    return fit_none(spectra, n_samples=n_samples).profiles, spectra.reference


def start_once() -> np.ndarray:
    """Have tslearn compute its start for each length once, and return the time this takes, which will grow."""
    from tslearn.shapelets import shapelets

    compute, known, spent = shapelets._kmeans_init_shapelets, {}, np.zeros(2)

    def start(series: np.ndarray, count: int, length: int) -> np.ndarray:
        def once() -> None:
            known[length] = compute(series, count, length)

        if length not in known:
            spent[:] += seconds(once)
        return known[length]

    shapelets._kmeans_init_shapelets = start
    return spent


def report(name: str, value: np.ndarray) -> None:
    """Print one line: CPU time and wall-clock time."""
    print(f"{name:48}{value[0]:9.2f}{value[1]:9.2f}", flush=True)


def speed() -> None:
    """Print seconds and ratios."""
    start = start_once()
    X, y = profiles(159, 250)
    LearnedShapelets(epochs=1).fit(X, y)
    TslearnShapelets(epochs=1).fit(X, y)
    print(f"{'seconds':48}{'CPU':>9}{'clock':>9}")
    report("tslearn, start by k-means", start)
    ratios = []
    for _ in range(ROUNDS):
        ours = seconds(lambda: LearnedShapelets(epochs=EPOCHS).fit(X, y))
        first, few = (seconds(lambda n=n: TslearnShapelets(epochs=n).fit(X, y)) for n in (1, 1 + FEW))
        epoch = (few - first) / FEW
        theirs = start + first + (EPOCHS - 1) * epoch
        ratios.append(theirs / ours)
        report(f"159 x 250, {EPOCHS} epochs: ours", ours)
        report("  tslearn, one epoch", epoch)
        report("  tslearn in all, extrapolated", theirs)
    of_cpu, of_clock = np.median(ratios, axis=0)
    report("ratio, median of the rounds", (of_cpu, of_clock))
    record(f"159 x 250, {EPOCHS} epochs, CPU time", of_cpu)
    record(f"159 x 250, {EPOCHS} epochs", of_clock)

    X, y = profiles(600, 1000)
    first, few = (seconds(lambda n=n: LearnedShapelets(epochs=n).fit(X, y)) for n in (1, 6))
    epoch = (few - first) / 5
    report(f"600 x 1000, {EPOCHS} epochs, extrapolated: ours", first + (EPOCHS - 1) * epoch)
    report("  one step of 10 profiles, in ms", 1000 * epoch / 60)
    model, many = LearnedShapelets(epochs=1).fit(X, y), np.resize(X, (SURVEY, 1000))
    report(f"distances of {SURVEY} x 1000: ours", seconds(lambda: model.transform(many)))


def trace(n_seeds: int) -> None:
    """Print accuracies."""
    from tslearn.datasets import CachedDatasets

    X, y, X_test, y_test = CachedDatasets().load_dataset("Trace")
    print(f"{'shapelets':28}{'epochs':>7}  {'seed':5}{'by':9}" + "".join(f"{name:>8}" for name in CLASSIFIERS))
    for lengths, counts, epochs in TRACE:
        for seed in range(n_seeds):
            for name, kind in (("ours", LearnedShapelets), ("tslearn", TslearnShapelets)):
                model = kind(lengths, counts, epochs=epochs, seed=seed).fit(X[..., 0], y)
                train, test = model.transform(X[..., 0]), model.transform(X_test[..., 0])
                scores = [classifier.fit(train, y).score(test, y_test) for classifier in CLASSIFIERS.values()]
                shapelets = dict(zip(lengths, counts, strict=True))
                row = f"{shapelets!s:28}{epochs:7d}  {seed:<5d}{name:9}"
                print(row + "".join(f"{score:8.2f}" for score in scores), flush=True)


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "torch"  # read when keras is imported
    what, *rest = sys.argv[1:] or ["speed"]
    if what == "speed":
        speed()
    else:
        trace(*map(int, rest or [3]))
