"""What the transformers that learn nothing share."""

from __future__ import annotations

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags


class StatelessTransformer(TransformerMixin, BaseEstimator):
    """A transformer whose result for a profile depends on that profile and the settings alone.

    It says so by scikit-learn's tag ``requires_fit``, and can transform unfitted.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
