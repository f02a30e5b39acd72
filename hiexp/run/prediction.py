"""A trained model on other objects: what it says of them, and what of that is written."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from hiexp.errors import InputError
from hiexp.evaluation.dependence import dependence
from hiexp.evaluation.scores import MANY, Scores, score
from hiexp.evaluation.training_sample import TRAINING_FILE, TrainingSample
from hiexp.evaluation.yardstick import Thresholds, beside
from hiexp.fitting import FitResult
from hiexp.long_tables import write_table
from hiexp.mapped import rows_taken
from hiexp.plots import plot_confusion
from hiexp.run.files import (
    CONFIG_FILE,
    METRICS_FILE,
    MODEL_FOLDER,
    PIPELINE_FILE,
    PLOTS_FOLDER,
    PREDICTIONS_FILE,
    fold_folders,
)
from hiexp.run.model_files import checked_stage, load_model
from hiexp.run.outcome import Objects, Outcome, draw_what_classifier_sees, known_classes, write_classes
from hiexp.run.pipeline import Features, predict, takes_lines, transform
from hiexp.run.reading import read_config, read_metrics
from hiexp.spectra import UNKNOWN, Spectra
from hiexp.writing import staged

log = logging.getLogger(__name__)

BATCH = 4096  # profiles whose features are in memory at a time
OF_REFERENCE = ("hiexp.labels.ReferenceLabels", "hiexp.labels.RandomLabels")  # classes that mean what a dataset's do
HELD_AGAINST = "yardstick_accuracy"  # a metric of a run that was held against a rule
NOT_KNOWN = "not known"
NOT_READ = "could not be read: "


@dataclass(frozen=True)
class Classified:
    """What a model says of M profiles.

    Attributes
    ----------
    predicted : ndarray of int, shape (M,)
        Classes.
    probability : ndarray, shape (M, C), or None
        Class probabilities; None where the classifier has none.
    unlike : list of tuple of str, or None
        What of each object is unlike those that the model was trained on; None where nobody knows those.
    seen : ndarray of bool, shape (M,)
        Objects that the model was trained on, as far as they are known.
    """

    predicted: np.ndarray
    probability: np.ndarray | None
    unlike: list[tuple[str, ...]] | None
    seen: np.ndarray


@dataclass(frozen=True)
class TrainedModel:
    """What a run has learned, to be used on other spectra.

    Attributes
    ----------
    folder : Path
        The run's.
    fit : dict
        Settings of its fit.
    measurements : dict or None
        Settings of what it has measured on the data, too.
    models : list of Pipeline
        Feature and classifier: one, or one a fold.
    classes : ndarray of int, shape (C,)
        Classes that they know.
    of_reference : bool
        Whether these are reference classes, not groups that a clusterer has found.
    sample : TrainingSample or None
        What is known of the objects that the first was trained on.
    yardstick : Thresholds or None
        The rule that the run was held against; None where it had none, or its classes are not what the rule is about.
    """

    folder: Path
    fit: dict[str, object]
    measurements: dict[str, object] | None
    models: list[Pipeline]
    classes: np.ndarray
    of_reference: bool
    sample: TrainingSample | None
    yardstick: Thresholds | None

    @classmethod
    def load(cls, folder: Path, trusted: Sequence[str], device: str) -> Self:
        """Read a run's fit and models without running anything that a stranger may have put into its folder.

        Parameters
        ----------
        folder : Path
            A run's folder.
        trusted : sequence of str
            Dotted names, beyond those in `hiexp.run.allowed`, that settings and models may have.
        device : {"cpu", "cuda", "auto"}
            Where both compute.

        Raises
        ------
        InputError
            If settings or models are missing or damaged, do not belong together, or name what is neither allowed nor
            trusted.
        """
        file = folder / CONFIG_FILE
        trained = cls.read(file, folder / MODEL_FOLDER, trusted, device)
        yardstick = _yardstick(folder, read_config(file), trusted) if trained.of_reference else None
        about = yardstick if yardstick and yardstick.is_about(trained.classes) else None
        return replace(trained, folder=folder, yardstick=about)

    @classmethod
    def read(cls, file: Path, model: Path, trusted: Sequence[str], device: str) -> Self:
        """Do what `load` does with a file of settings and a folder of models, without a yardstick."""
        settings, folders = read_config(file), fold_folders(model)
        if not folders:
            raise InputError(f"{model}: no {PIPELINE_FILE} in this folder; give the folder `model` of a run")
        fit = checked_stage(file, settings, "fit", trusted)
        measured = settings.get("measurements") is not None
        measurements = checked_stage(file, settings, "measurements", trusted) if measured else None
        if "device" in fit:
            fit["device"] = device
        models = [_on_device(load_model(one, trusted), device, one) for one in folders]
        labels, known = settings.get("labels"), folders[0] / TRAINING_FILE
        classes = np.unique(np.concatenate([model[-1].classes_ for model in models]))
        of_reference = isinstance(labels, Mapping) and labels.get("_target_") in OF_REFERENCE
        trained = cls(
            folder=model,
            fit=fit,
            measurements=measurements,
            models=models,
            classes=classes,
            of_reference=of_reference,
            sample=TrainingSample.load(known) if known.exists() else None,
            yardstick=None,
        )
        n_samples = fit.get("n_samples")
        if isinstance(n_samples, int):  # what is known without a fit is not found out after it
            trained._check_length(n_samples)
        return trained

    @classmethod
    def of(cls, cfg: DictConfig, outcome: Outcome, folder: Path) -> Self:
        """Return what a training has just learned.

        Parameters
        ----------
        cfg : DictConfig
            A composed ``conf/train.yaml``.
        outcome : Outcome
            What came of it.
        folder : Path
            The run's.
        """
        settings: Any = OmegaConf.to_container(cfg, resolve=True)
        of_reference = cfg.labels.get("_target_") in OF_REFERENCE
        held_against = of_reference and HELD_AGAINST in outcome.beside
        yardstick = instantiate(cfg.evaluation.yardstick, _convert_="all") if held_against else None
        return cls(
            folder=folder,
            fit=settings["fit"],
            measurements=settings.get("measurements"),
            models=outcome.models,
            classes=outcome.classes,
            of_reference=of_reference,
            sample=outcome.parts[0].sample,
            yardstick=yardstick if yardstick and yardstick.is_about(outcome.classes) else None,
        )

    @property
    def fit_name(self) -> str:
        """Name of the fit's function."""
        return str(self.fit["_target_"]).rpartition(".")[2]

    def in_words(self) -> str:
        """Return what the model consists of."""
        steps = [self.fit_name, *(_name(step) for _, step in self.models[0].steps)]
        folds = f", the mean of {len(self.models)} folds" if len(self.models) > 1 else ""
        return f"{', '.join(steps)}{folds}"

    def ruled(self, fits: pd.DataFrame) -> np.ndarray | None:
        """Return the classes of M objects, from their rows of the table of fits, by the yardstick, shape (M,).

        `UNKNOWN` where it has not been measured; None where there is no yardstick.
        """
        if self.yardstick is None:
            return None
        if self.yardstick.column not in fits:
            log.info("%s is left out: these fits have no such column", self.yardstick)
            return None
        return self.yardstick.divide(self.yardstick.values(fits), self.classes)

    def _check_length(self, n_samples: int) -> None:
        """Raise an `InputError` where the model was trained on longer or shorter profiles."""
        wanted = getattr(self.models[0][0], "n_features_in_", n_samples)
        if n_samples != wanted and not takes_lines(self.models[0]["feature"]):
            raise InputError(
                f"{self.fit_name} gives profiles of {n_samples} samples of these spectra, and the model of "
                f"{self.folder} was trained on {wanted}: give spectra as long as those, or train with a number of "
                "samples (fit.n_samples=256)"
            )

    def classify(self, profiles: np.ndarray, quantities: pd.DataFrame) -> Classified:
        """Predict the classes of M profiles of one fit.

        Of several models the class probabilities are averaged, where they have none their votes counted. One model
        alone predicts what its classifier does.

        Parameters
        ----------
        profiles : ndarray, shape (M, n)
            mJy; or what the feature takes in their place.
        quantities : DataFrame, M rows
            Their `line_quantities`.

        Raises
        ------
        InputError
            If the profiles are not as long as those that the model was trained on, or a model refuses them.
        """
        if len(profiles):
            self._check_length(profiles.shape[1])
        shares = np.zeros((len(profiles), len(self.classes)))
        predicted = np.zeros(len(profiles), dtype=int)
        nearest, distance = np.zeros(len(profiles)), np.zeros(len(profiles))
        probabilities = True
        for start in tqdm(range(0, len(profiles), BATCH), "predicting", unit="batch", delay=1, leave=False):
            rows = slice(start, start + BATCH)
            for number, model in enumerate(self.models):
                features = Features(model["feature"], transform(model["feature"], profiles[rows]))
                if number == 0 and self.sample is not None:
                    nearest[rows], distance[rows] = self.sample.distances(features.values)
                chosen, probability = predict(model, features)
                places = np.searchsorted(self.classes, model[-1].classes_)
                if probability is None:
                    probabilities = False
                    probability = (chosen[:, None] == model[-1].classes_).astype(float)
                shares[rows, places] += probability / len(self.models)
                predicted[rows] = chosen
        if len(self.models) > 1:
            predicted = self.classes[shares.argmax(axis=1)]
        known = self.sample
        return Classified(
            predicted=predicted,
            probability=shares if probabilities else None,
            unlike=None if known is None else known.reasons(distance, quantities),
            seen=np.zeros(len(profiles), bool) if known is None else known.seen(nearest),
        )


def _yardstick(folder: Path, settings: Mapping[str, object], trusted: Sequence[str]) -> Thresholds | None:
    """Return the rule of a run whose scores stand beside it.

    A run has a rule for any classes, and is held against it where they rise with what it measures.
    """
    evaluation = settings.get("evaluation")
    if not isinstance(evaluation, Mapping) or evaluation.get("yardstick") is None:
        return None
    node = checked_stage(folder / CONFIG_FILE, evaluation, "yardstick", trusted)
    held_against = HELD_AGAINST in read_metrics(folder / METRICS_FILE)
    return instantiate(node, _convert_="all") if held_against else None


def _name(step: Any) -> str:
    inner = [_name(one) for _, one in step.steps] if isinstance(step, Pipeline) else [type(step).__name__]
    return " + ".join(inner)


def _on_device(model: Pipeline, device: str, folder: Path) -> Pipeline:
    """Return a model that computes on a device, once it is seen to have the parts that a run's has."""
    names, classes = [name for name, _ in model.steps], getattr(model[-1], "classes_", np.empty(0))
    whole = np.ndim(classes) == 1 and np.issubdtype(np.asarray(classes).dtype, np.integer) and np.size(classes) > 0
    if names not in (["feature", "classifier"], ["feature", "flatten", "classifier"]) or not whole:
        raise InputError(
            f"{folder}: the model of a run has a feature, and a classifier of whole numbers; give another"
        )
    keys = [key for key in model.get_params() if key.rpartition("__")[2] == "device"]
    return model.set_params(**dict.fromkeys(keys, device))


@dataclass(frozen=True)
class Prediction:
    """The classes of N objects by a trained model.

    Attributes
    ----------
    ids : ndarray of str, shape (N,)
        The objects.
    status : ndarray of str, shape (N,)
        "ok", or why an object has no class.
    good : ndarray of bool, shape (N,)
        Objects with a class, M of them.
    profiles : ndarray, shape (M, n)
        What the features were made from, mJy.
    windows : ndarray, shape (M, 2)
        Ends of the window that each fills, km/s.
    reference : ndarray of int, shape (N,), or None
        Reference classes, as the dataset has them.
    parameters : DataFrame, M rows
        What is known of each, a column a parameter.
    trained : TrainedModel
        The model.
    classified : Classified
        What it says of the M objects.
    scored : ndarray of bool, shape (M,)
        Objects of a reference class that the model knows.
    scores : Scores or None
        On these; None where there are none.
    ruled : ndarray of int, shape (M,), or None
        Classes by the yardstick of the trained run, `UNKNOWN` where there is no measurement.
    beside : dict of str to float
        What these score on the same objects, and by how much the model does better, as
        `hiexp.evaluation.yardstick.beside` has it.
    unread : DataFrame
        Objects, or files, that could not be read, as `Spectra.skipped` has them.
    digest : str
        Fingerprint of the dataset.
    """

    ids: np.ndarray
    status: np.ndarray
    good: np.ndarray
    profiles: np.ndarray
    windows: np.ndarray
    reference: np.ndarray | None
    parameters: pd.DataFrame
    trained: TrainedModel
    classified: Classified
    scored: np.ndarray
    scores: Scores | None
    ruled: np.ndarray | None
    beside: dict[str, float]
    unread: pd.DataFrame
    digest: str

    @classmethod
    def of(
        cls,
        spectra: Spectra,
        fit: FitResult,
        parameters: pd.DataFrame,
        trained: TrainedModel,
        classified: Classified,
        n_draws: int,
        seed: int,
    ) -> Self:
        """Score predictions where that can be done.

        Parameters
        ----------
        spectra, fit
            The N objects.
        parameters, trained, classified
            As the attributes.
        n_draws : int
            Permutations and bootstrap samples of the scores.
        seed : int
            Seed of the random draws.
        """
        good = fit.good
        truth = np.full(good.sum(), UNKNOWN) if spectra.reference is None else spectra.reference[good]
        scored = np.isin(truth, trained.classes) & (truth != UNKNOWN) & trained.of_reference
        predicted, probability = classified.predicted, classified.probability
        ruled = trained.ruled(fit.table[good])
        scores, numbers = None, {}
        if scored.any():
            shares = None if probability is None else probability[scored]
            scores = score(truth[scored], predicted[scored], n_draws, seed, shares, trained.classes)
            if ruled is not None:
                numbers = beside("yardstick", truth[scored], predicted[scored], ruled[scored], n_draws, seed)
        return cls(
            ids=spectra.ids,
            status=fit.table["status"].to_numpy(),
            good=good,
            profiles=rows_taken(fit.profiles, good),
            windows=fit.windows[good],
            reference=spectra.reference,
            parameters=parameters,
            trained=trained,
            classified=classified,
            scored=scored,
            scores=scores,
            ruled=ruled,
            beside=numbers,
            unread=spectra.skipped,
            digest=spectra.digest,
        )

    @cached_property
    def dependence(self) -> pd.DataFrame:
        """How strongly the predicted classes depend on each parameter, as `hiexp.evaluation.dependence` has it."""
        return dependence(self.parameters, self.classified.predicted)

    def failures(self) -> pd.DataFrame:
        """Return the objects without a class, in the columns of `Spectra.skipped`."""
        return pd.DataFrame({"name": self.ids[~self.good], "reason": self.status[~self.good]})

    def counts(self) -> dict[int, int]:
        """Return how many objects are of each class that the model knows."""
        found = Counter(self.classified.predicted.tolist())
        return {int(name): found[int(name)] for name in self.trained.classes}

    def unlike_counts(self) -> Counter[str]:
        """Return how many objects are unlike the training sample, by reason."""
        return Counter(reason for reasons in self.classified.unlike or [] for reason in reasons)

    def metrics(self) -> dict[str, float]:
        """Return the numbers to compare predictions by: counts, and scores where there are reference classes."""
        numbers: dict[str, float] = {"n_predicted_classes": sum(number > 0 for number in self.counts().values())}
        if len(self.trained.classes) <= MANY:
            numbers |= {f"n_class_{name}": number for name, number in self.counts().items()}
        if self.classified.unlike is not None:
            numbers |= {"n_unlike": sum(map(bool, self.classified.unlike)), "n_seen": int(self.classified.seen.sum())}
        for name, row in self.dependence.iterrows():
            numbers |= {f"epsilon2_{name}": row["epsilon2"], f"information_{name}": row["information"]}
        if self.scores is not None:
            numbers |= self.scores.metrics() | {"n_scored": int(self.scored.sum())} | self._accuracies()
            numbers |= self.beside
        return numbers

    def _accuracies(self) -> dict[str, float]:
        """Return the accuracy of objects like the training sample, and of those unlike it, where there are any."""
        if self.classified.unlike is None or self.reference is None:
            return {}
        right = self.classified.predicted == self.reference[self.good]
        unlike = np.array([bool(reasons) for reasons in self.classified.unlike])
        groups = {"accuracy_like": self.scored & ~unlike, "accuracy_unlike": self.scored & unlike}
        return {name: float(right[rows].mean()) for name, rows in groups.items() if rows.any()}

    def table(self) -> pd.DataFrame:
        """Return a row an object: id, status, both classes, probabilities, what is unlike training, reference.

        Below them are those that could not be read, by the names that `unread` has.
        """
        rows = np.flatnonzero(self.good)
        predicted, ruled = np.full((2, len(self.ids)), UNKNOWN)
        predicted[rows] = self.classified.predicted
        if self.ruled is not None:
            ruled[rows] = self.ruled
        columns: dict[str, Any] = {
            "id": self.ids,
            "status": self.status,
            "predicted": pd.arrays.IntegerArray(predicted, mask=~self.good),
            "yardstick": known_classes(ruled),
        }
        if self.classified.probability is not None:
            probability = np.full((len(self.ids), len(self.trained.classes)), np.nan)
            probability[rows] = self.classified.probability
            columns |= {
                f"probability_{name}": probability[:, place] for place, name in enumerate(self.trained.classes)
            }
        unlike = np.full(len(self.ids), "", dtype=object)
        reasons = self.classified.unlike
        unlike[rows] = NOT_KNOWN if reasons is None else ["; ".join(of_object) for of_object in reasons]
        columns["unlike_training"] = unlike
        if self.reference is not None:
            columns["reference"] = known_classes(self.reference)
        table = pd.DataFrame(columns)
        unread = {"id": self.unread["name"], "status": NOT_READ + self.unread["reason"]}
        return table if self.unread.empty else pd.concat([table, pd.DataFrame(unread)], ignore_index=True)

    def write(self, folder: Path) -> None:
        """Write ``predictions.csv``, the tables of parameters by class and the pictures into `folder`.

        Raises
        ------
        InputError
            If no object has a class, once ``predictions.csv`` says why of each.
        """
        with staged(folder) as stage:
            table = write_table(self.table(), stage / PREDICTIONS_FILE)
        if not self.good.any():
            raise InputError(
                f"none of the {len(self.ids)} spectra can be classified, since none has a fit; the first: "
                f"{self.status[0]}; {table.name} has the reason of each"
            )
        with staged(folder) as stage:
            plots = stage / PLOTS_FOLDER
            plots.mkdir()
            predicted = self.classified.predicted
            write_classes(self.profiles, predicted, self.parameters, self.dependence, stage, self.windows)
            if self.scores is not None:
                file = plots / "confusion.png"
                plot_confusion(self.scores.confusion, self.scores.classes, "reference", file, "sample")
            truth = self.reference[self.good] if self.reference is not None and self.trained.of_reference else None
            objects = Objects(
                self.ids[self.good], self.profiles, predicted, truth, "reference", "sample", self.windows
            )
            draw_what_classifier_sees(self.trained.models[0], objects, np.arange(len(predicted)), plots)
