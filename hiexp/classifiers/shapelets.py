"""Learned shapelets as a classifier: the prediction of the network that learns them."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import ClassifierMixin

from hiexp.features.shapelets import LearnedShapelets


class ShapeletClassifier(ClassifierMixin, LearnedShapelets):
    """Classify profiles, shape (N, n), by the linear layer over their distances to learned shapelets.

    Parameters and attributes are those of `LearnedShapelets`.
    """

    predicts_most_probable = True

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return class probabilities, shape (N, n_classes), in the order of ``classes_``."""
        logits = self._in_batches(X, lambda network, series: network(series))
        return torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class of each profile, shape (N,)."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]
