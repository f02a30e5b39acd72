"""A convolutional network behind scikit-learn's classifier interface; `network` is the place to begin."""

from hiexp.classifiers.cnn.estimator import CNNClassifier
from hiexp.classifiers.cnn.network import ConvNet

__all__ = ["CNNClassifier", "ConvNet"]
