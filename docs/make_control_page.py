"""Measure what the published protocol yields by chance and write docs/control.md with its picture.

``python docs/make_control_page.py [FOLDER ...]``, from the repository's root; 10 minutes on one core. Folders of
finished sweeps (``+experiment=quick54_control`` and the like) add a row each to the page's last table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy.stats import kstest
from sklearn.model_selection import StratifiedShuffleSplit
from tqdm import tqdm

from hiexp.command import CONFIGS
from hiexp.evaluation import SweepVerdict, judge_sweep
from hiexp.evaluation.measures import success_rate
from hiexp.labels import RandomLabels, ReferenceLabels
from hiexp.pipeline import extract, learn, learned_from, predict
from hiexp.plots.canvas import new_figure, write

DOCS = Path(__file__).resolve().parent
SIZES, STATES = (0.3, 0.5, 0.7), (42, 99)
FEATURES = (["feature=raw", "feature.n_samples=64"], ["feature=image2d", "feature.size=16"], ["feature=asymmetry"])
CLASSIFIERS = (["classifier=knn"], ["classifier=svm"], ["classifier=random_forest", "classifier.n_estimators=10"])
CONFIGURATIONS = 54
REPEATS, DRAWS, COINS = 150, 199, 2000
PUBLISHED = 0.6333
SITUATIONS = {
    "nothing to learn": "classes shuffled among the galaxies, training labels at random",
    "nothing to learn, honest": "classes shuffled among the galaxies, training labels the shuffled classes",
    "control": "classes as they are, training labels at random: the published protocol",
    "honest": "classes as they are, training labels the classes",
}


def splits(reference: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the six divisions of the published grid."""
    for size in SIZES:
        for state in STATES:
            splitter = StratifiedShuffleSplit(1, test_size=size, random_state=state)
            yield from splitter.split(np.zeros((len(reference), 1)), reference)


def coins(counts: np.ndarray, rng: np.random.Generator) -> tuple[dict[float, np.ndarray], np.ndarray]:
    """Return success rates of classes guessed at random: of each test size, and the best of 54 configurations.

    Parameters
    ----------
    counts : ndarray of int, shape (K,)
        Objects of each class.
    rng : Generator
        Of the guesses.
    """
    reference = np.repeat(np.arange(counts.size), counts)
    rates = []
    for _, test in splits(reference):
        true = np.bincount(reference[test])
        guesses = [rng.multinomial(n, np.full(true.size, 1 / true.size), size=(COINS, 9)) for n in true]
        rates.append(success_rate(np.stack(guesses, axis=2)))
    single = {size: np.concatenate(rates[2 * i : 2 * i + 2]).ravel() for i, size in enumerate(SIZES)}
    return single, np.concatenate(rates, axis=1).max(axis=1)


class Grid:
    """54 configurations of quick classifiers on one sample; what needs no training is computed once."""

    def __init__(self) -> None:
        with initialize_config_dir(str(CONFIGS.absolute()), version_base="1.3"):
            base = compose("train")
            self.transformers = [
                lambda cfg=compose("train", words).feature: instantiate(cfg, _convert_="all")
                for words in FEATURES
            ]
            self.classifiers = [
                lambda cfg=compose("train", words).classifier: instantiate(cfg, n_jobs=None, _convert_="all")
                if "n_jobs" in cfg
                else instantiate(cfg, _convert_="all")
                for words in CLASSIFIERS
            ]
        spectra = instantiate(base.dataset)()
        fit = instantiate(base.fit)(spectra)
        self.profiles, self.reference = fit.profiles[fit.good], spectra.reference[fit.good]
        self.ids = spectra.ids[fit.good]
        nobody = np.arange(2)
        self.known = {
            number: extract(transformer, self.profiles, nobody, self.reference)
            for number, make in enumerate(self.transformers)
            if not learned_from(transformer := make(), nobody, self.reference)
        }

    def predictions(self, reference: np.ndarray, labels: ReferenceLabels) -> dict[str, pd.DataFrame]:
        """Train all configurations and return what each predicts, as its ``predictions.csv``."""
        tables = {}
        for train, test in splits(reference):
            assigned = labels.assign(self.profiles, reference, np.sort(train))
            taught, classes = assigned.taught, assigned.classes
            part = np.full(len(reference), "train", dtype=object)
            part[test] = "test"
            for number, make in enumerate(self.transformers):
                features = self.known.get(number) or extract(make(), self.profiles, taught, classes)
                for classifier in self.classifiers:
                    predicted, _ = predict(learn(features, classifier(), taught, classes), features)
                    tables[str(len(tables))] = pd.DataFrame(
                        {"id": self.ids, "split": part, "reference": reference, "predicted": predicted}
                    )
        return tables


def repeated(grid: Grid) -> pd.DataFrame:
    """Run every situation many times and return a row a sweep: its best score, p, and corrected score."""
    rows = []
    for repeat in tqdm(range(REPEATS), desc="controls"):
        shuffled = np.random.default_rng([repeat, 1]).permutation(grid.reference)
        for situation in SITUATIONS:
            reference = shuffled if situation.startswith("nothing") else grid.reference
            if situation == "honest" and repeat:
                continue  # nothing in it is drawn: the first is all
            labels = ReferenceLabels(3) if situation.endswith("honest") else RandomLabels(3, seed=repeat)
            predictions = grid.predictions(reference, labels)
            for measure in ("success_rate", *(["balanced_accuracy"] if reference is grid.reference else [])):
                verdict = judge_sweep(predictions, measure, DRAWS, seed=repeat)
                rows.append({"situation": situation, "repeat": repeat, "measure": measure} | row(verdict))
    return pd.DataFrame(rows)


def row(verdict: SweepVerdict) -> dict[str, float]:
    """Return the numbers of a sweep that the page compares."""
    chance = {f"chance_{name}": verdict.maximum[name] for name in ("mean", "p95")}
    return {**verdict.best, **chance, "n_alike": int(verdict.configurations["like_best"].sum())}
