"""The profile itself."""

from __future__ import annotations

from numbers import Integral
from typing import Literal, Self

import numpy as np
from sklearn.utils.validation import validate_data

from hiexp.errors import InputError
from hiexp.features.stateless import StatelessTransformer
from hiexp.kinds import Several
from hiexp.mapped import in_parts


def unit_range(profiles: np.ndarray) -> np.ndarray:
    """Scale each profile to 0..1; a constant one becomes 0.

    Parameters
    ----------
    profiles : ndarray, shape (N, n)
        In any unit.
    """
    return in_parts(_unit_range, profiles)


def _unit_range(profiles: np.ndarray) -> np.ndarray:
    low = profiles.min(axis=1, keepdims=True)
    span = profiles.max(axis=1, keepdims=True) - low
    return np.divide(profiles - low, span, out=np.zeros_like(profiles, dtype=float), where=span > 0)


def _unit_peak(profiles: np.ndarray) -> np.ndarray:
    def scaled(part: np.ndarray) -> np.ndarray:
        peak = part.max(axis=1, keepdims=True)
        return np.divide(part, peak, out=np.zeros_like(part, dtype=float), where=peak > 0)

    return in_parts(scaled, profiles)


SCALINGS = {"minmax": unit_range, "peak": _unit_peak, "none": lambda profiles: profiles}


class RawProfile(StatelessTransformer):
    """Profiles on their common axis, each scaled by itself.

    Parameters
    ----------
    scaling : {"minmax", "peak", "none"}
        To 0..1, to a peak of 1, or as they are (mJy).
    n_samples : int, optional
        Samples to describe each profile by; as many as it has without. The window is divided into that many
        equal bins, and each new sample is the mean of the profile in its bin, the profile being straight between
        its samples: noise is averaged, and a straight line stays one.
    """

    def __init__(
        self, scaling: Literal["minmax", "peak", "none"] = "minmax", n_samples: Several | None = None
    ) -> None:
        self.scaling = scaling
        self.n_samples = n_samples

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Check the settings and the profiles, shape (N, n); there is nothing to learn.

        Raises
        ------
        InputError
            If a setting is none of the choices.
        """
        self._check()
        validate_data(self, X, ensure_min_features=1 if self.n_samples is None else 2)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the scaled profiles, shape (N, n) or (N, n_samples)."""
        self._check()
        profiles = validate_data(self, X, reset=False)
        if self.n_samples is not None:
            profiles = profiles @ _bin_means(profiles.shape[1], self.n_samples)
        return SCALINGS[self.scaling](profiles)

    def _check(self) -> None:
        if self.scaling not in SCALINGS:
            raise InputError(f"feature.scaling={self.scaling}: choose one of {', '.join(SCALINGS)}")
        if self.n_samples is not None and (not isinstance(self.n_samples, Integral) or self.n_samples < 2):
            raise InputError(f"feature.n_samples={self.n_samples}: choose a whole number from 2, or null for all")


def _bin_means(n: int, n_bins: int) -> np.ndarray:
    """Return the matrix, shape (n, n_bins), that averages profiles over equal bins, straight between samples."""
    profile = np.eye(n)  # one row for each sample that is 1 while the others are 0
    area = np.cumsum((profile[:, 1:] + profile[:, :-1]) / 2, axis=1)
    area = np.concatenate([np.zeros((n, 1)), area], axis=1)
    bound = np.linspace(0, n - 1, n_bins + 1)
    below = np.minimum(bound.astype(int), n - 2)
    beyond = bound - below
    rise = profile[:, below + 1] - profile[:, below]
    up_to_bound = area[:, below] + beyond * (profile[:, below] + beyond / 2 * rise)
    return np.diff(up_to_bound, axis=1) * n_bins / (n - 1)
