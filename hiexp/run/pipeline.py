"""Feature and classifier: each fitted once, joined in one scikit-learn pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.base import ClassifierMixin, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from hiexp.errors import InputError
from hiexp.features import Flatten
from hiexp.mapped import in_parts, load_rows, rows_taken, save_rows

if TYPE_CHECKING:
    from hiexp.fitting import FitResult
    from hiexp.labels import Assignment
    from hiexp.spectra import Spectra

MANY = 10_000  # objects from which on several threads gain time

# Is told the epoch, and given what classifies rows of the features by the network as far as it has come: their class
# probabilities, shape (N, C), and the classes that these are of.
EachEpoch = Callable[[int, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]], None]


@dataclass(frozen=True)
class Values:
    """What a feature makes of N profiles.

    Attributes
    ----------
    values : ndarray, shape (N, ...)
        Its result for every profile.
    """

    values: np.ndarray

    def save(self, folder: Path) -> None:
        """Write them into an empty folder, for `load`."""
        save_rows(folder / "values.npy", self.values)
        (folder / "rows.json").write_text(json.dumps(len(self.values)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(load_rows(folder / "values.npy", json.loads((folder / "rows.json").read_text())))


@dataclass(frozen=True)
class Features:
    """What a feature makes of N profiles, and the feature.

    Attributes
    ----------
    transformer : scikit-learn transformer
        Fitted.
    values : ndarray, shape (N, ...)
        Its result for every profile.
    """

    transformer: TransformerMixin
    values: np.ndarray

    def save(self, folder: Path) -> None:
        """Write both into an empty folder, for `load`."""
        from hiexp.run.model_files import save_model  # skops imports all of scikit-learn, which takes seconds

        Values(self.values).save(folder)
        save_model(Pipeline([("feature", self.transformer)]), folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        from hiexp.run.model_files import load_model

        return cls(load_model(folder)["feature"], Values.load(folder).values)


@dataclass(frozen=True)
class Learned:
    """What has been learned from the training part of a division of N objects.

    Attributes
    ----------
    assigned : Assignment
        What the labels stage said.
    features : Features
        Features of all objects.
    model : Pipeline
        Feature and classifier, fitted.
    predicted : ndarray of int, shape (N,)
        Classes by the classifier.
    probability : ndarray, shape (N, C), or None
        Class probabilities in the order of the classifier's classes; None where it has none.
    """

    assigned: Assignment
    features: Features
    model: Pipeline
    predicted: np.ndarray
    probability: np.ndarray | None


def takes_lines(transformer: TransformerMixin) -> bool:
    """Tell whether a feature is made of `line_inputs`, and not of profiles."""
    first = transformer.steps[0][1] if isinstance(transformer, Pipeline) else transformer
    return getattr(first, "takes_lines", False)


def seen_by(transformer: TransformerMixin, spectra: Spectra, fit: FitResult) -> np.ndarray:
    """Return what a feature is made of: profiles, shape (N, n), or, of one that takes them, `line_inputs`."""
    if not takes_lines(transformer):
        return fit.profiles
    from hiexp.posterior import line_inputs  # its package imports torch, which other features do without

    return line_inputs(spectra, fit)


def learned_from(transformer: TransformerMixin, training: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return what a transformer's fit depends on beside the profiles: nothing, where there is nothing to learn.

    Parameters
    ----------
    transformer : scikit-learn transformer
        Its tag ``requires_fit`` tells.
    training : ndarray of int
        Rows to learn from.
    classes : ndarray of int, shape (N,)
        Classes of all rows.
    """
    return (training, classes[training]) if get_tags(transformer).requires_fit else ()


def extract(
    transformer: TransformerMixin, profiles: np.ndarray, training: np.ndarray, classes: np.ndarray
) -> Features:
    """Fit a transformer on the profiles `training`, shape (N, n), and their classes, and transform all profiles.

    Raises
    ------
    InputError
        If the transformer refuses the data.
    """
    name = type(transformer).__name__

    def transform(part: np.ndarray) -> np.ndarray:
        values = transformer.transform(part)
        if len(getattr(values, "shape", ())) < 2 or len(values) != len(part):
            raise InputError(
                f"feature: {name}.transform has to return an array with a row for each of {len(part)} profiles"
            )
        return values

    with _refusal_named(transformer, len(training)):
        transformer.fit(rows_taken(profiles, training), classes[training])
        return Features(transformer, in_parts(transform, profiles))


def learn(
    features: Features,
    classifier: ClassifierMixin,
    training: np.ndarray,
    classes: np.ndarray,
    each_epoch: EachEpoch | None = None,
) -> Pipeline:
    """Fit a classifier on the features of the rows `training` and return the pipeline of both.

    Images are laid out in rows for a classifier that takes two-dimensional arrays. `each_epoch` is called by a
    classifier that has epochs, one with the attribute ``tells_epochs``.

    Raises
    ------
    InputError
        If there is one class only, or the classifier refuses the data.
    """
    present = np.unique(classes[training])
    if present.size < 2:
        raise InputError(
            f"all {len(training)} training objects are of one class ({present}); "
            "a classifier needs two: change labels, clusterer or test_size"
        )
    steps = [("feature", features.transformer)]
    values = rows_taken(features.values, training)
    if values.ndim > 2 and get_tags(classifier).input_tags.two_d_array:
        steps.append(("flatten", Flatten().fit(values)))
        values = steps[-1][1].transform(values)

    def told(epoch: int, probabilities: Callable[[np.ndarray], np.ndarray]) -> None:
        if each_epoch:
            each_epoch(
                epoch,
                lambda rows: (probabilities(rows_taken(features.values, rows)), np.asarray(classifier.classes_)),
            )

    watched = {"each_epoch": told} if each_epoch and getattr(classifier, "tells_epochs", False) else {}
    with _refusal_named(classifier, len(training)), _threads(len(training)):
        classifier.fit(values, classes[training], **watched)
    return Pipeline([*steps, ("classifier", classifier)])


def transform(transformer: TransformerMixin, profiles: np.ndarray) -> np.ndarray:
    """Return what a fitted transformer makes of profiles, shape (N, n).

    Raises
    ------
    InputError
        If it refuses them.
    """
    with _refusal_named(transformer, len(profiles)):
        return transformer.transform(profiles)


def predict(model: Pipeline, features: Features) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the class of each object, shape (N,), and class probabilities, shape (N, K), where there are any.

    A classifier with the attribute ``predicts_most_probable`` is asked once: its classes follow from its
    probabilities. Of others (a support vector machine, a tuned threshold) they need not.

    Raises
    ------
    InputError
        If the classifier refuses the data.
    """
    classifier = model["classifier"]

    def laid_out(values: np.ndarray) -> np.ndarray:
        for step in model[1:-1]:
            values = step.transform(values)
        return values

    def most_probable(values: np.ndarray) -> np.ndarray:
        return classifier.predict_proba(laid_out(values))

    with _refusal_named(classifier, len(features.values)), _threads(len(features.values)):
        probability = in_parts(most_probable, features.values) if hasattr(classifier, "predict_proba") else None
        if probability is not None and getattr(classifier, "predicts_most_probable", False):
            return classifier.classes_[probability.argmax(axis=1)], probability
        return np.asarray(in_parts(lambda values: classifier.predict(laid_out(values)), features.values)), probability


def _threads(n_objects: int) -> threadpool_limits:
    """Keep libraries to one thread for few objects: on a busy processor the others are waited for."""
    return threadpool_limits(1 if n_objects < MANY else None)


@contextmanager
def _refusal_named(estimator: object, n_objects: int) -> Iterator[None]:
    """Turn a library's ValueError into one that says whose it is."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{type(estimator).__name__} refuses the {n_objects} objects it was given: {error}; change its settings"
        ) from error
