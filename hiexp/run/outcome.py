"""What one experiment leaves behind."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score
from sklearn.pipeline import Pipeline

from hiexp import plots
from hiexp.cache import DiskCache, Files, NoCache
from hiexp.csv_tables import write_csv
from hiexp.epochs import training_history
from hiexp.evaluation.dependence import dependence, medians_by_class
from hiexp.evaluation.scores import Scores, score
from hiexp.evaluation.split import Division
from hiexp.evaluation.training_sample import TRAINING_FILE, TrainingSample
from hiexp.evaluation.yardstick import beside
from hiexp.labels import Assignment
from hiexp.long_tables import write_table
from hiexp.printable import printable
from hiexp.run.compact import PLACES_FILE, FeaturePlaces
from hiexp.run.files import (
    CLASSES_PICTURE,
    FOLD_FOLDER,
    MODEL_FOLDER,
    PARAMETERS_PICTURE,
    PLOTS_FOLDER,
    PREDICTIONS_FILE,
)
from hiexp.run.pipeline import takes_lines
from hiexp.spectra import UNKNOWN, Spectra
from hiexp.writing import staged

if TYPE_CHECKING:  # torch takes seconds to import
    from matplotlib.figure import Figure

    from hiexp.features.shapelets import LearnedShapelets

log = logging.getLogger(__name__)

OWN_DPI = 150  # of a picture of the user's own
MOST_DRAWN = 20_000  # objects that a picture of all training objects is made of


@dataclass(frozen=True)
class Part:
    """What one division of a sample of N objects has given.

    Attributes
    ----------
    division : Division
        Who was trained on and who was held out.
    assigned : Assignment
        What the labels stage said.
    predicted : ndarray of int, shape (N,)
        Classes by the classifier.
    probability : ndarray, shape (N, C), or None
        Class probabilities in the order of the classifier's classes; None where it has none.
    model : Pipeline
        Feature and classifier, fitted.
    sample : TrainingSample or None
        What there is to know of the objects that the model has learned from.
    regression : ndarray of int, shape (N,), or None
        Classes by a regression on measures of asymmetry, taught the same classes of the same objects.
    explained : dict of str to float
        How much of a clusterer's groups follows from what is measured of the lines; empty without one.
    places : FeaturePlaces or None
        Where the objects are in feature space; None of all divisions but the first, and of large samples.
    """

    division: Division
    assigned: Assignment
    predicted: np.ndarray
    probability: np.ndarray | None
    model: Pipeline
    sample: TrainingSample | None = None
    regression: np.ndarray | None = None
    explained: dict[str, float] = field(default_factory=dict)
    places: FeaturePlaces | None = None

    def predictions(self, ids: np.ndarray, reference: np.ndarray | None, ruled: np.ndarray | None) -> pd.DataFrame:
        """Return a row an object: id, split, who learned from it, reference, label, classes, probabilities."""
        rows = np.arange(len(ids))
        table = pd.DataFrame(
            {
                "id": ids,
                "split": np.where(np.isin(rows, self.division.train), "train", "test"),
                "clustered": np.isin(rows, self.assigned.clustered),
                "used_for_training": np.isin(rows, self.assigned.training),
                "reference": pd.NA if reference is None else known_classes(reference),
                "label": known_classes(self.assigned.classes),
                "predicted": self.predicted,
                "yardstick": pd.NA if ruled is None else known_classes(ruled),
            }
        )
        if self.probability is None:
            return table
        columns = [f"probability_{name}" for name in self.model[-1].classes_]
        return table.join(pd.DataFrame(self.probability, columns=columns))


@dataclass(frozen=True)
class Outcome:
    """The result of one experiment on N objects.

    Attributes
    ----------
    ids : ndarray of str, shape (N,)
        The objects that took part.
    profiles : ndarray, shape (N, n)
        What the feature was made from, mJy.
    reference : ndarray of int, shape (N,), or None
        Reference classes.
    parameters : DataFrame
        What is known of each object, a column a parameter; NaN where it is not known.
    parts : list of Part
        One, or one a fold and repeat. The pictures are of the first repeat.
    predicted : ndarray of int, shape (N,)
        Classes by the classifier; of several folds by the one that has held the object out.
    scores : Scores or None
        On the objects held out; None where nothing says what is true of them.
    truth_name : str
        Who said what is true: "reference" or "clusterer".
    ruled : ndarray of int, shape (N,), or None
        Classes without learning, by a measurement and its limits.
    beside : dict of str to float
        What yardsticks score on the same objects, ``yardstick_S`` and ``learned_yardstick_S``, and by how much the
        classifier does better, as `hiexp.evaluation.yardstick.beside` has it.
    digest : str
        Fingerprint of the dataset.
    windows : ndarray, shape (N, 2), or None
        Ends of the window that each profile fills, km/s.
    """

    ids: np.ndarray
    profiles: np.ndarray
    reference: np.ndarray | None
    parameters: pd.DataFrame
    parts: list[Part]
    predicted: np.ndarray
    scores: Scores | None
    truth_name: str
    ruled: np.ndarray | None
    beside: dict[str, float]
    digest: str
    windows: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        spectra: Spectra,
        profiles: np.ndarray,
        parameters: pd.DataFrame,
        parts: list[Part],
        ruled: np.ndarray | None,
        n_draws: int,
        seed: int,
        windows: np.ndarray | None = None,
        own: Mapping[str, Callable] | None = None,
    ) -> Self:
        """Pool the predictions for objects held out, repeat by repeat, and score them.

        Parameters
        ----------
        spectra : Spectra
            The objects that took part.
        profiles, parameters, parts, ruled, windows
            As the attributes.
        n_draws : int
            Permutations and bootstrap samples of the scores.
        seed : int
            Seed of the random draws.
        own : mapping of str to callable, optional
            Further scores, as `hiexp.evaluation.own.own_scores` takes them.
        """
        first, reference = parts[0], spectra.reference
        test = np.unique(np.concatenate([part.division.test for part in parts]))
        truth = first.assigned.classes if reference is None else reference
        known = test[truth[test] != UNKNOWN]
        predicted, probability, columns = _pooled(parts)
        regressions = [part.regression for part in parts if part.regression is not None]
        others = {
            "yardstick": ruled,
            "learned_yardstick": _held_out(parts, regressions) if regressions else None,
        }
        numbers: dict[str, float] = {}
        for name, other in others.items():
            if other is not None and known.size:
                numbers |= beside(name, truth[known], predicted[:, known], other[..., known], n_draws, seed)
        return cls(
            ids=spectra.ids,
            profiles=profiles,
            reference=reference,
            parameters=parameters,
            parts=parts,
            predicted=first.predicted if len(parts) == 1 else predicted[0],
            scores=score(
                truth[known],
                predicted[:, known],
                n_draws,
                seed,
                None if probability is None else probability[:, known],
                columns,
                own,
            )
            if known.size
            else None,
            truth_name="clusterer" if reference is None else "reference",
            ruled=ruled,
            beside=numbers,
            digest=spectra.digest,
            windows=windows,
        )

    def used(self) -> dict[str, list[str]]:
        """Return the objects by what they were used for; of several parts all of them for both, by turns."""
        if len(self.parts) > 1:
            return {"train and test": self.ids.tolist()}
        division = self.parts[0].division
        return {"train": self.ids[division.train].tolist(), "test": self.ids[division.test].tolist()}

    @property
    def assigned(self) -> Assignment:
        """What the labels stage said of the first part."""
        return self.parts[0].assigned

    @property
    def models(self) -> list[Pipeline]:
        """Feature and classifier of each part of the first repeat."""
        return [part.model for part in self.parts if part.division.repeat == 1]

    @property
    def classes(self) -> np.ndarray:
        """Classes that these know, shape (C,)."""
        return np.unique(np.concatenate([model[-1].classes_ for model in self.models]))

    @property
    def model(self) -> Pipeline:
        """Feature and classifier of the first part."""
        return self.parts[0].model

    @property
    def history(self) -> dict[str, list[float]]:
        """One value an epoch of each quantity that feature and classifier recorded in training on the first part."""
        return training_history(self.model)

    @cached_property
    def dependence(self) -> pd.DataFrame:
        """How strongly the predicted classes depend on each parameter, as `hiexp.evaluation.dependence` has it."""
        return dependence(self.parameters, self.predicted)

    def agreement(self) -> dict[str, float]:
        """Return how often classifier and clusterer agree on objects held out, which neither was fitted on.

        ``agreement``, the share of them, and ``agreement_kappa``, the same with chance agreement taken out (Cohen
        1960, Educational and Psychological Measurement 20, 37). Empty without a clusterer. Objects that the clusterer
        takes for noise do not count.
        """
        if not self.assigned.clustered.size:
            return {}
        test = np.concatenate([part.division.test for part in self.parts])
        placed = np.concatenate([part.assigned.classes[part.division.test] for part in self.parts])
        predicted = np.concatenate([part.predicted[part.division.test] for part in self.parts])
        known = placed != UNKNOWN
        if not known.any():
            return {}
        placed, predicted = placed[known], predicted[known]
        scores = {"agreement": float(np.mean(placed == predicted)), "n_agreement": np.unique(test[known]).size}
        if np.unique([placed, predicted]).size > 1:
            scores["agreement_kappa"] = float(cohen_kappa_score(placed, predicted))
        return scores

    def metrics(self) -> dict[str, float]:
        """Return the numbers to compare runs by: scores, their chance levels, what the classes follow, counts.

        Of several parts: means of the numbers of objects and of what the groups are worth, but ``n_test`` counts
        every object held out once.
        """
        test = np.concatenate([part.division.test for part in self.parts])
        held_out = np.concatenate([part.predicted[part.division.test] for part in self.parts])
        counts = {
            "n_train": float(np.mean([len(part.division.train) for part in self.parts])),
            "n_test": np.unique(test).size,
            "n_training": float(np.mean([len(part.assigned.training) for part in self.parts])),
            "n_predicted_classes": np.unique(held_out).size,
        }
        trained_on = [np.intersect1d(part.division.train, part.division.test).size for part in self.parts]
        if any(trained_on):  # which makes the scores worth nothing
            counts["n_test_trained_on"] = float(np.mean(trained_on))
        counts |= pd.DataFrame([part.assigned.scores | part.explained for part in self.parts]).mean().to_dict()
        counts |= self.agreement() | self.beside
        for name, row in self.dependence.iterrows():
            counts |= {f"epsilon2_{name}": row["epsilon2"], f"information_{name}": row["information"]}
        return counts if self.scores is None else self.scores.metrics() | counts

    def predictions(self) -> pd.DataFrame:
        """Return the rows of `Part.predictions`; of several parts those of the objects held out, with their fold.

        Columns ``repeat`` and ``fold`` count from 1.
        """
        if len(self.parts) == 1:
            return self.parts[0].predictions(self.ids, self.reference, self.ruled)
        tables = []
        for part in self.parts:
            everyone = part.predictions(self.ids, self.reference, self.ruled)
            table = everyone.iloc[part.division.test].reset_index()
            table.insert(2, "repeat", part.division.repeat)
            table.insert(3, "fold", part.division.fold)
            tables.append(table)
        rows = pd.concat(tables, ignore_index=True).sort_values(["repeat", "index"])
        return rows.drop(columns="index")

    def write(
        self, folder: Path, cache: DiskCache | NoCache, own: Mapping[str, Callable[[Outcome], Figure]] | None = None
    ) -> None:
        """Write ``predictions.csv``, tables of parameters and features, the pictures and the model into `folder`.

        Parameters
        ----------
        folder : Path
            The run's.
        cache : DiskCache or NoCache
            Keeps the pictures that several runs share.
        own : mapping of str to callable, optional
            What draws further pictures, by their names: functions that take this outcome and return a figure. One
            that raises an error is left out with a warning.
        """
        with staged(folder) as stage:
            self._write(stage, cache)
            draw_own(self, own or {}, stage / PLOTS_FOLDER)

    def _write(self, folder: Path, cache: DiskCache | NoCache) -> None:
        write_table(self.predictions(), folder / PREDICTIONS_FILE)
        if self.parts[0].places is not None:
            self.parts[0].places.write(folder / PLACES_FILE)
        pictures = folder / PLOTS_FOLDER
        pictures.mkdir()
        write_classes(self.profiles, self.predicted, self.parameters, self.dependence, folder, self.windows)
        if self.scores is not None:
            plots.plot_confusion(
                self.scores.confusion, self.scores.classes, self.truth_name, pictures / "confusion.png"
            )
        if self.history:
            plots.plot_training(self.history, pictures / "training.png")
        part, feature, classifier = self.parts[0], self.model["feature"], self.model["classifier"]
        truth = part.assigned.classes if self.reference is None else self.reference
        objects = Objects(self.ids, self.profiles, part.predicted, truth, self.truth_name, windows=self.windows)
        draw_what_classifier_sees(self.model, objects, part.division.test, pictures)
        for step in (feature, classifier):
            if hasattr(step, "shapelets_"):
                training = self.assigned.training
                training = training[:: -(-len(training) // MOST_DRAWN)]
                seen = self.profiles[training] if step is feature else feature.transform(self.profiles[training])
                windows = None if self.windows is None else self.windows[training]
                draw_shapelets(seen, self.assigned.classes[training], step, cache, pictures, windows)
        from hiexp.run.model_files import save_model  # skops imports all of scikit-learn, which takes seconds

        several = len(self.parts) > 1
        try:
            for part in self.parts:
                if part.division.repeat == 1:
                    place = folder / MODEL_FOLDER / (FOLD_FOLDER.format(part.division.fold) if several else "")
                    save_model(part.model, place)
                    if part.sample is not None:
                        part.sample.save(place / TRAINING_FILE)
        except Exception as error:  # a library's own estimator may hold anything; its scores must not be lost
            log.warning("The model could not be stored without pickle: %s", error)
            shutil.rmtree(folder / MODEL_FOLDER, ignore_errors=True)


def draw_own(outcome: Outcome, own: Mapping[str, Callable[[Outcome], Figure]], pictures: Path) -> None:
    """Write ``NAME.png``, and what goes beside it, of each function's figure; where there is none, warn and go on."""
    import matplotlib as mpl

    from hiexp.plots.figure import OPTIONS
    from hiexp.plots.formats import files_of

    for name, function in own.items():
        files = files_of(pictures / f"{name}.png")
        try:
            with mpl.rc_context():  # what one function sets is not the next one's
                figure = function(outcome)
                if not hasattr(figure, "savefig"):
                    raise TypeError(f"it returns {type(figure).__name__} and no figure")
                for file in files:
                    figure.savefig(file, dpi=OWN_DPI, bbox_inches="tight", **OPTIONS.get(file.suffix, {}))
        except (Exception, SystemExit) as error:  # of whatever it is; nothing that has been learned is lost by it
            log.warning("pictures.%s: %s: %s; left out", name, type(error).__name__, printable(str(error)))
            for file in files:
                file.unlink(missing_ok=True)
        finally:
            if "matplotlib.pyplot" in sys.modules:  # which keeps what is drawn by it
                sys.modules["matplotlib.pyplot"].close("all")


@dataclass(frozen=True)
class Objects:
    """Objects of which some are drawn.

    Attributes
    ----------
    ids : ndarray of str, shape (N,)
        Their names.
    profiles : ndarray, shape (N, n)
        mJy.
    predicted : ndarray of int, shape (N,)
        Their classes by the classifier.
    truth : ndarray of int, shape (N,), or None
        Their true classes.
    truth_name : str
        Who says so.
    sample : str
        What they are, as the pictures have it.
    windows : ndarray, shape (N, 2), or None
        Ends of the window that each profile fills, km/s.
    """

    ids: np.ndarray
    profiles: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray | None
    truth_name: str
    sample: str = "test set"
    windows: np.ndarray | None = None

    def titles(self, rows: np.ndarray) -> list[str]:
        """Return name, predicted and true class of some of them."""
        truth = np.full(len(rows), UNKNOWN) if self.truth is None else self.truth[rows]
        return [
            f"{name}: {chosen}" + ("" if true == UNKNOWN else f" ({self.truth_name} {true})")
            for name, chosen, true in zip(self.ids[rows], self.predicted[rows], truth, strict=True)
        ]


def write_classes(
    profiles: np.ndarray,
    predicted: np.ndarray,
    parameters: pd.DataFrame,
    depends: pd.DataFrame,
    folder: Path,
    windows: np.ndarray | None = None,
) -> None:
    """Write the tables of parameters by class, and the pictures of the classes into a folder that has one for plots.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        mJy.
    predicted : ndarray of int, shape (N,)
        Classes.
    parameters : DataFrame
        What is known of each object, a column a parameter.
    depends : DataFrame
        What `hiexp.evaluation.dependence.dependence` says of both.
    folder : Path
        A run's folder.
    windows : ndarray, shape (N, 2), optional
        Ends of the window that each profile fills, km/s.
    """
    write_csv(medians_by_class(parameters, predicted), folder / "parameters_by_class.csv")
    write_csv(depends, folder / "dependence.csv", index=True)
    plots.plot_classes(profiles, predicted, folder / CLASSES_PICTURE, windows=windows)
    if not parameters.empty:
        plots.plot_parameters_by_class(parameters, predicted, depends, folder / PARAMETERS_PICTURE)


def draw_shapelets(
    profiles: np.ndarray,
    classes: np.ndarray,
    model: LearnedShapelets,
    cache: DiskCache | NoCache,
    pictures: Path,
    windows: np.ndarray | None = None,
) -> None:
    """Draw ``shapelets.png``, as `plot_shapelets` does, once for all classifiers that take the same shapelets."""

    def draw(folder: Path) -> None:
        plots.plot_shapelets(profiles, classes, model, folder / "shapelets.png", windows=windows)

    shown = profiles, classes, model.scale, *model.shapelets_, windows, plots.formats()
    cache.recall("shapelets", Files, shown, lambda: Files.written(draw)).save(pictures)


def draw_what_classifier_sees(model: Pipeline, objects: Objects, candidates: np.ndarray, pictures: Path) -> None:
    """Draw ``saliency.png`` of some of the `candidates`, row numbers, or ``images.png``, where a model has either."""
    feature, classifier = model["feature"], model["classifier"]
    if hasattr(classifier, "saliency"):
        shown = plots.saliency_examples(objects.predicted, candidates)
        values = feature.transform(objects.profiles[shown])
        predicted, saliency = objects.predicted[shown], classifier.saliency(values)
        file, titles = pictures / "saliency.png", objects.titles(shown)
        windows = None if objects.windows is None else objects.windows[shown]
        profiles, sample = objects.profiles[shown], objects.sample
        plots.plot_saliency(profiles, values, saliency, predicted, titles, file, sample=sample, windows=windows)
    elif not takes_lines(feature) and feature.transform(objects.profiles[:1]).ndim == 4:
        file = pictures / "images.png"
        plots.plot_images(objects.profiles, objects.predicted, feature.transform, file, objects.windows)


def known_classes(classes: np.ndarray) -> pd.arrays.IntegerArray:
    """Return the classes, empty where there is none."""
    return pd.arrays.IntegerArray(classes.astype(np.int64), mask=classes == UNKNOWN)


def _pooled(parts: list[Part]) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Return classes, shape (R, N), and probabilities, shape (R, N, C), of objects held out in R repeats.

    And the classes, shape (C,), that the probabilities are of. Objects that are never held out have class 0.
    """
    predicted = _held_out(parts, [part.predicted for part in parts])
    columns = np.unique(np.concatenate([part.model[-1].classes_ for part in parts]))
    probability = np.zeros((*predicted.shape, len(columns)))
    for part in parts:
        repeat, test = part.division.repeat - 1, part.division.test
        if part.probability is not None:
            places = np.searchsorted(columns, part.model[-1].classes_)
            probability[repeat, test[:, None], places] = part.probability[test]
    return predicted, None if parts[0].probability is None else probability, columns


def _held_out(parts: list[Part], classes: Sequence[np.ndarray]) -> np.ndarray:
    """Return what each part says of the objects that it holds out, shape (R, N), 0 for those that none does."""
    pooled = np.zeros((max(part.division.repeat for part in parts), len(classes[0])), dtype=int)
    for part, values in zip(parts, classes, strict=True):
        pooled[part.division.repeat - 1, part.division.test] = values[part.division.test]
    return pooled
