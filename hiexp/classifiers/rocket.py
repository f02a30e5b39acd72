"""Classifiers by random convolutions, those of aeon (the extra ``hiexp[aeon]``)."""

from __future__ import annotations

import logging
from abc import abstractmethod
from types import ModuleType
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from hiexp.errors import InputError
from hiexp.kinds import Count, Seed

log = logging.getLogger(__name__)

BATCH = 1000  # profiles predicted at a time: each has up to 60,000 features


class _Rocket(ClassifierMixin, BaseEstimator):
    """An aeon classifier behind scikit-learn's interface.

    There are no class probabilities: a ridge classifier has none, and aeon's are 0 or 1.
    """

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train on profiles, shape (N, n), of classes `y`, shape (N,).

        Raises
        ------
        InputError
            If aeon is not installed.
        """
        X, y = validate_data(self, X, y)
        name = type(self).__name__
        try:
            from aeon.classification import convolution_based
        except ModuleNotFoundError as error:
            raise InputError(f'{name} needs aeon, which is not installed: pip install "hiexp[aeon]"') from error
        log.info("%s: the first run on a machine compiles for half a minute, later ones do not", name)
        self.model_ = self._build(convolution_based).fit(X, y)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return classes, shape (M,)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return np.concatenate([self.model_.predict(X[start : start + BATCH]) for start in range(0, len(X), BATCH)])

    @abstractmethod
    def _build(self, convolution_based: ModuleType) -> ClassifierMixin: ...


class MiniRocket(_Rocket):
    """MiniRocket and a ridge classifier (Dempster, Schmidt & Webb 2021, KDD, 248).

    Parameters
    ----------
    n_kernels : int
        Number of features: the share of a profile in which each convolution is above its bias.
    n_jobs : int
        Number of threads; -1 for all processors.
    seed : int
        Seed of the biases.
    """

    def __init__(self, n_kernels: Count = 10_000, n_jobs: int = 1, seed: Seed = 0) -> None:
        self.n_kernels = n_kernels
        self.n_jobs = n_jobs
        self.seed = seed

    def _build(self, convolution_based: ModuleType) -> ClassifierMixin:
        return convolution_based.MiniRocketClassifier(
            n_kernels=self.n_kernels, n_jobs=self.n_jobs, random_state=self.seed
        )


class MultiRocketHydra(_Rocket):
    """MultiRocket and Hydra, their features joined (Dempster, Schmidt & Webb 2023, Data Min. Knowl. Disc. 37, 1779).

    Parameters
    ----------
    n_kernels, n_groups : int
        Number of Hydra's kernels that compete in a group, and of groups for each dilation.
    n_jobs : int
        Number of threads, those of torch included; -1 for all processors.
    seed : int
        Seed of kernels and biases.
    """

    def __init__(self, n_kernels: Count = 8, n_groups: Count = 64, n_jobs: int = 1, seed: Seed = 0) -> None:
        self.n_kernels = n_kernels
        self.n_groups = n_groups
        self.n_jobs = n_jobs
        self.seed = seed

    def _build(self, convolution_based: ModuleType) -> ClassifierMixin:
        return convolution_based.MultiRocketHydraClassifier(
            n_kernels=self.n_kernels, n_groups=self.n_groups, n_jobs=self.n_jobs, random_state=self.seed
        )
