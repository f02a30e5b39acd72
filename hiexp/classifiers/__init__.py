"""Classifiers of this package; those of scikit-learn are used as they are."""

from hiexp.classifiers.cnn import CNNClassifier, ConvNet

__all__ = ["CNNClassifier", "ConvNet"]
