"""The profile itself."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from hiexp.errors import InputError


def unit_range(profiles: np.ndarray) -> np.ndarray:
    """Scale each profile to 0..1; a constant one becomes 0.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        In any unit.
    """
    low = profiles.min(axis=1, keepdims=True)
    span = profiles.max(axis=1, keepdims=True) - low
    return np.divide(profiles - low, span, out=np.zeros_like(profiles, dtype=float), where=span > 0)


def _unit_peak(profiles: np.ndarray) -> np.ndarray:
    peak = profiles.max(axis=1, keepdims=True)
    return np.divide(profiles, peak, out=np.zeros_like(profiles, dtype=float), where=peak > 0)


SCALINGS = {"minmax": unit_range, "peak": _unit_peak, "none": lambda profiles: profiles}


class RawProfile(TransformerMixin, BaseEstimator):
    """Profiles on their common axis, each scaled by itself.

    Parameters
    ----------
    scaling : {"minmax", "peak", "none"}
        To 0..1, to a peak of 1, or as they are (mJy).
    """

    def __init__(self, scaling: str = "minmax") -> None:
        self.scaling = scaling

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Check the profiles, shape (N, n); there is nothing to learn."""
        if self.scaling not in SCALINGS:
            raise InputError(f"feature.scaling={self.scaling}: choose one of {', '.join(SCALINGS)}")
        validate_data(self, X)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the scaled profiles, shape (N, n)."""
        check_is_fitted(self, "n_features_in_")
        return SCALINGS[self.scaling](validate_data(self, X, reset=False))
