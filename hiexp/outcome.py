"""What one experiment leaves behind."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score
from sklearn.pipeline import Pipeline

from hiexp.errors import InputError
from hiexp.evaluation import Scores, dependence, medians_by_class
from hiexp.fitting import FitResult
from hiexp.labels import Assignment
from hiexp.plots import (
    plot_classes,
    plot_confusion,
    plot_fits,
    plot_images,
    plot_parameters,
    plot_parameters_by_class,
    plot_shapelets,
    plot_training,
)
from hiexp.spectra import UNKNOWN, Spectra

log = logging.getLogger(__name__)


def write_sample(spectra: Spectra, fit: FitResult, folder: Path) -> None:
    """Write what is known of a sample before anything is learned from it.

    The fits (`FitResult.write`) and ``catalogue.csv`` always; ``skipped.csv`` and ``unmatched.csv`` where there is
    any; pictures of the fits where any can be used.
    """
    fit.write(folder)
    spectra.catalogue.to_csv(folder / "catalogue.csv")
    skipped = pd.concat([spectra.skipped, fit.failures()], ignore_index=True)
    if len(skipped):
        skipped.to_csv(folder / "skipped.csv", index=False)
    if len(spectra.unmatched):
        spectra.unmatched.to_csv(folder / "unmatched.csv", index=False)
    if fit.good.any():
        plots = folder / "plots"
        plots.mkdir()
        plot_fits(spectra, fit, plots / "fits.png")
        plot_parameters(fit, plots / "parameters.png")


def check_sample(spectra: Spectra, fit: FitResult) -> None:
    """Say what is missing in a sample that `write_sample` has written.

    Raises
    ------
    InputError
        If no spectrum can be used.
    """
    skipped = len(spectra.skipped) + int((~fit.good).sum())
    if skipped:
        found = len(spectra) + len(spectra.skipped)
        log.warning("Skipped %d of %d objects: skipped.csv says why", skipped, found)
    for reason, count in spectra.unmatched["reason"].value_counts().items():
        log.info("%d times %s: unmatched.csv", count, reason)
    if not fit.good.any():
        raise InputError(
            f"none of the {len(spectra)} spectra can be used; the first: {fit.failures()['reason'].iloc[0]}"
        )


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
    assigned : Assignment
        What the labels stage said.
    parameters : DataFrame
        What is known of each object, a column a parameter; NaN where it is not known.
    train, test : ndarray of int
        Indices of the objects trained on and held out.
    predicted : ndarray of int, shape (N,)
        Classes by the classifier.
    probability : ndarray, shape (N, K), or None
        Class probabilities in the order of the classifier's classes; None where it has none.
    model : Pipeline
        Feature and classifier, fitted.
    scores : Scores or None
        On the objects held out; None where nothing says what is true of them.
    truth_name : str
        Who said what is true: "reference" or "clusterer".
    """

    ids: np.ndarray
    profiles: np.ndarray
    reference: np.ndarray | None
    assigned: Assignment
    parameters: pd.DataFrame
    train: np.ndarray
    test: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray | None
    model: Pipeline
    scores: Scores | None
    truth_name: str

    @property
    def history(self) -> dict[str, list[float]]:
        """One value an epoch of each quantity that feature and classifier recorded while they trained."""
        return getattr(self.model["feature"], "history_", {}) | getattr(self.model["classifier"], "history_", {})

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
        held_out = self.test[self.assigned.classes[self.test] != UNKNOWN]
        if not self.assigned.grouped.size or not held_out.size:
            return {}
        placed, predicted = self.assigned.classes[held_out], self.predicted[held_out]
        scores = {"agreement": float(np.mean(placed == predicted)), "n_agreement": held_out.size}
        if np.unique([placed, predicted]).size > 1:
            scores["agreement_kappa"] = float(cohen_kappa_score(placed, predicted))
        return scores

    def metrics(self) -> dict[str, float]:
        """Return the numbers to compare runs by: scores, their chance levels, what the classes follow, counts."""
        counts = {
            "n_train": len(self.train),
            "n_test": len(self.test),
            "n_taught": len(self.assigned.taught),
            "n_predicted_classes": np.unique(self.predicted[self.test]).size,
        }
        counts |= self.assigned.scores | self.agreement()
        for name, row in self.dependence.iterrows():
            counts |= {f"epsilon2_{name}": row["epsilon2"], f"information_{name}": row["information"]}
        if self.scores is None:
            return counts
        return (
            self.scores.observed
            | {f"chance_{name}": float(drawn.mean()) for name, drawn in self.scores.chance.items()}
            | {f"chance95_{name}": float(np.percentile(drawn, 95)) for name, drawn in self.scores.chance.items()}
            | {f"p_{name}": self.scores.p_value(name) for name in self.scores.observed}
            | counts
        )

    def predictions(self) -> pd.DataFrame:
        """Return one row an object: id, split, who learned from it, reference, label, predicted, probabilities."""
        rows = np.arange(len(self.ids))
        table = pd.DataFrame(
            {
                "id": self.ids,
                "split": np.where(np.isin(rows, self.train), "train", "test"),
                "grouped": np.isin(rows, self.assigned.grouped),
                "taught": np.isin(rows, self.assigned.taught),
                "reference": pd.NA if self.reference is None else _known(self.reference),
                "label": _known(self.assigned.classes),
                "predicted": self.predicted,
            }
        )
        if self.probability is None:
            return table
        columns = [f"probability_{name}" for name in self.model[-1].classes_]
        return table.join(pd.DataFrame(self.probability, columns=columns))

    def write(self, folder: Path) -> None:
        """Write ``predictions.csv``, the tables of parameters by class, the pictures and the model into `folder`."""
        self.predictions().to_csv(folder / "predictions.csv", index=False)
        medians_by_class(self.parameters, self.predicted).to_csv(folder / "parameters_by_class.csv", index=False)
        self.dependence.to_csv(folder / "dependence.csv")
        plots = folder / "plots"
        plots.mkdir(exist_ok=True)
        plot_classes(self.profiles, self.predicted, plots / "classes.png")
        if not self.parameters.empty:
            file = plots / "parameters_by_class.png"
            plot_parameters_by_class(self.parameters, self.predicted, self.dependence, file)
        if self.scores is not None:
            plot_confusion(self.scores.confusion, self.scores.classes, self.truth_name, plots / "confusion.png")
        if self.history:
            plot_training(self.history, plots / "training.png")
        feature = self.model["feature"]
        if feature.transform(self.profiles[:1]).ndim == 4:
            plot_images(self.profiles, self.predicted, feature.transform, plots / "images.png")
        for step in (feature, self.model["classifier"]):
            if hasattr(step, "shapelets_"):
                taught = self.assigned.taught
                seen = self.profiles[taught] if step is feature else feature.transform(self.profiles[taught])
                plot_shapelets(seen, self.assigned.classes[taught], step, plots / "shapelets.png")
        from hiexp.persistence import save_model  # skops imports all of scikit-learn, which takes seconds

        try:
            save_model(self.model, folder / "model")
        except Exception as error:  # a library's own estimator may hold anything; its scores must not be lost
            log.warning("The model could not be stored without pickle: %s", error)


def _known(classes: np.ndarray) -> pd.arrays.IntegerArray:
    """Return the classes, empty where there is none."""
    return pd.arrays.IntegerArray(classes.astype(np.int64), mask=classes == UNKNOWN)
