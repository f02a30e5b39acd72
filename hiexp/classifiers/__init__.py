"""Classifiers of this package; those of scikit-learn are used as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hiexp.lazy import importer

if TYPE_CHECKING:
    from hiexp.classifiers.cnn.estimator import CNNClassifier
    from hiexp.classifiers.cnn.network import ConvNet

PLACES = {
    "CNNClassifier": "hiexp.classifiers.cnn.estimator",
    "ConvNet": "hiexp.classifiers.cnn.network",
}
__all__ = [
    "CNNClassifier",
    "ConvNet",
]

__getattr__ = importer(__name__, PLACES)
