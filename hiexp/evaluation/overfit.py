"""The one division of a sample that says nothing of other objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import BaseCrossValidator


class TrainedOn(BaseCrossValidator):
    """All objects to train on, and the same ones to test: whether something can be learned by heart."""

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return 1."""
        return 1

    def split(
        self, X: np.ndarray, y: np.ndarray | None = None, groups: np.ndarray | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the indices of all N objects, twice."""
        everyone = np.arange(len(X))
        yield everyone, everyone
