"""Feature and classifier as one scikit-learn pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.base import ClassifierMixin, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from hiexp.errors import InputError
from hiexp.features import Flatten


def build_pipeline(feature: TransformerMixin, classifier: ClassifierMixin) -> Pipeline:
    """Join the two; images are laid out in rows for a classifier that takes two-dimensional arrays."""
    steps = [("feature", feature), ("classifier", classifier)]
    if get_tags(classifier).input_tags.two_d_array:
        steps.insert(1, ("flatten", Flatten()))
    return Pipeline(steps)


def fit_pipeline(model: Pipeline, profiles: np.ndarray, classes: np.ndarray) -> None:
    """Fit `model` in place on profiles, shape (M, n), of known classes, shape (M,).

    Raises
    ------
    InputError
        If there is one class only, or a step refuses the data.
    """
    present = np.unique(classes)
    if present.size < 2:
        raise InputError(
            f"all {len(classes)} training objects are of one class ({present}); "
            "a classifier needs two: change labels, clusterer or test_size"
        )
    with _refusal_named(model, len(profiles)):
        model.fit(profiles, classes)


def predict(model: Pipeline, profiles: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the class of each profile, shape (N,), and class probabilities, shape (N, K), where there are any.

    Raises
    ------
    InputError
        If a step refuses the data.
    """
    features, classifier = model[:-1].transform(profiles), model[-1]
    with _refusal_named(model, len(profiles)):
        predicted = np.asarray(classifier.predict(features))
        return predicted, classifier.predict_proba(features) if hasattr(classifier, "predict_proba") else None


@contextmanager
def _refusal_named(model: Pipeline, n_profiles: int) -> Iterator[None]:
    """Turn a library's ValueError into one that says whose it is."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        name = type(model[-1]).__name__
        raise InputError(
            f"{name} refuses the {n_profiles} profiles it was given: {error}; change its settings"
        ) from error
