"""The feature of a classifier that is to see data and fit with their noise, and not the curve alone."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.utils.validation import validate_data

from hiexp.errors import InputError
from hiexp.features.stateless import StatelessTransformer
from hiexp.posterior.inputs import LINE_INPUTS


class LineInputs(StatelessTransformer):
    """Hand on the `line_inputs` of each line as they are: most are logarithms and ratios of about 1."""

    takes_lines = True
    """What it transforms are `line_inputs`, and not profiles."""

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Check the inputs, shape (N, n); there is nothing to learn."""
        self._checked(X, reset=True)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the inputs, shape (N, n)."""
        return self._checked(X, reset=False)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the inputs; `input_features` is there for scikit-learn and has no effect."""
        return np.array(LINE_INPUTS, dtype=object)

    def _checked(self, X: np.ndarray, reset: bool) -> np.ndarray:
        inputs = validate_data(self, X, reset=reset, dtype=[np.float32, np.float64])
        if inputs.shape[1] != len(LINE_INPUTS):
            raise InputError(
                f"feature=line takes the {len(LINE_INPUTS)} numbers of hiexp.posterior.line_inputs(spectra, fit), "
                f"and not {inputs.shape[1]}"
            )
        return inputs
