"""Feature and classifier as one scikit-learn pipeline."""

from __future__ import annotations

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
    try:
        model.fit(profiles, classes)
    except InputError:
        raise
    except ValueError as error:
        name = type(model[-1]).__name__
        raise InputError(
            f"{name} cannot be trained on {len(classes)} profiles of {present.size} classes: {error}"
        ) from error
