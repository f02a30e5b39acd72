"""The profile rotated into a disc image (Jaimes-Illanes et al. 2025, arXiv:2501.11657)."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from hiexp.errors import InputError
from hiexp.features.raw import unit_range

KINDS = ("whole", "difference", "rescaled_difference")


class DiscImage(TransformerMixin, BaseEstimator):
    """Turn each profile into the image of a disc whose brightness depends on radius alone.

    The profile is scaled to 0..1 and split at its centre into the right half R(r) and the mirrored left half
    L(r), r = 0 at the centre. Pixel values are interpolated linearly in radius, exactly at each pixel's centre;
    the disc touches the edges of the image.

    Parameters
    ----------
    kind : {"whole", "difference", "rescaled_difference"}
        Image models 1 to 3 of the study. "whole": the whole profile, radius counted from its first sample;
        "difference": R(r) - L(r), in -1..1; "rescaled_difference": the same, min-max scaled to 0..1.
    size : int
        Pixels a side.
    quarter : bool
        One quarter of the disc, its centre in a corner, instead of the full disc.
    colormap : str, optional
        A matplotlib colour map that turns the values into RGB; one channel of values without.
    """

    def __init__(
        self, kind: str = "difference", size: int = 64, quarter: bool = True, colormap: str | None = None
    ) -> None:
        self.kind = kind
        self.size = size
        self.quarter = quarter
        self.colormap = colormap

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Check the profiles, shape (N, n); there is nothing to learn."""
        if self.kind not in KINDS:
            raise InputError(f"feature.kind={self.kind}: choose one of {', '.join(KINDS)}")
        if self.size < 2:
            raise InputError(f"feature.size={self.size}: an image needs at least 2 pixels a side")
        if self.colormap is not None:
            _colormap(self.colormap)
        validate_data(self, X, ensure_min_features=4)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the images, float32, shape (N, 1 or 3, size, size); 0 outside the disc, or its colour."""
        check_is_fitted(self, "n_features_in_")
        radial = self._radial(unit_range(validate_data(self, X, reset=False))).astype(np.float32)
        radius = self._radius()
        inside = radius <= 1
        sample = radius[inside] * (radial.shape[1] - 1)
        below = np.minimum(sample.astype(int), radial.shape[1] - 2)
        share = (sample - below).astype(np.float32)
        images = np.zeros((len(radial), self.size, self.size), dtype=np.float32)
        images[:, inside] = radial[:, below] * (1 - share) + radial[:, below + 1] * share
        if self.colormap is None:
            return images[:, None]
        shade = (images + 1) / 2 if self.kind == "difference" else images
        rgb = _colormap(self.colormap)(shade)[..., :3].astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(rgb, -1, 1))

    def _radial(self, unit: np.ndarray) -> np.ndarray:
        """Return the function of radius, shape (N, m): from the centre of the disc to its edge."""
        if self.kind == "whole":
            return unit
        half = unit.shape[1] // 2
        difference = unit[:, -half:] - unit[:, :half][:, ::-1]
        return difference if self.kind == "difference" else unit_range(difference)

    def _radius(self) -> np.ndarray:
        """Return the radius of each pixel's centre, 1 at the disc's edge, shape (size, size)."""
        along = (np.arange(self.size) + 0.5) / self.size
        if not self.quarter:
            along = 2 * along - 1
        return np.hypot(along[:, None], along[None, :])


def _colormap(name: str):
    from matplotlib import colormaps

    if name not in colormaps:
        raise InputError(f"feature.colormap={name}: no such matplotlib colour map, try RdBu or magma_r")
    return colormaps[name]


class Flatten(TransformerMixin, BaseEstimator):
    """Images as rows of pixels, for classifiers that take two-dimensional arrays."""

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Remember the shape of one image."""
        self.image_shape_ = X.shape[1:]
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return shape (N, pixels)."""
        check_is_fitted(self)
        return X.reshape(len(X), -1)
