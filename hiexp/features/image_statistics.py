"""A disc image in a few numbers."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from hiexp.errors import InputError
from hiexp.features.images import DiscImage
from hiexp.features.stateless import StatelessTransformer

NAMES = ("mean", "standard_deviation", "skewness", "kurtosis", "gini", "concentration", "minimum", "maximum")
BLOCK = 64  # images worked on at a time
ROUNDING = 1e-6  # pixel values below it are what rounding leaves of 0


class ImageStatistics(StatelessTransformer):
    """Describe the disc image of each profile by statistics of the pixels inside the disc.

    ``mean``, ``standard_deviation``, ``minimum``, ``maximum``
        Statistics of the pixel values.
    ``skewness``, ``kurtosis``
        Third and fourth moment about the mean in units of the standard deviation, 3 taken from the latter: 0 for a
        normal distribution; 0 where all pixels are equal.
    ``gini``
        How unequally the absolute values are spread over the pixels: 0 evenly, 1 all in one pixel (Lotz, Primack &
        Madau 2004, AJ 128, 163, equation 6).
    ``concentration``
        5 log10(r80 / r20), of the radii that hold 80 % and 20 % of the absolute values (Conselice 2003, ApJS 147, 1);
        1.5 for a disc of one value.

    Parameters
    ----------
    image : DiscImage
        Makes the images; without a colour map.
    """

    def __init__(self, image: DiscImage) -> None:
        self.image = image

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Check the settings and the profiles, shape (N, n); there is nothing to learn.

        Raises
        ------
        InputError
            If a setting of the image is none of the choices, or there is a colour map.
        """
        if self.image.colormap is not None:
            raise InputError(
                f"feature.image.colormap={self.image.colormap}: statistics are of pixel values, not of colours; "
                "set it to null"
            )
        clone(self.image).fit(X)
        validate_data(self, X)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the statistics, shape (N, 8), in the order of `get_feature_names_out`."""
        profiles = validate_data(self, X, reset=False)
        radius = self.image.radius().ravel()
        outwards = np.argsort(radius, kind="stable")[: np.count_nonzero(radius <= 1)]
        blocks = []
        for start in range(0, len(profiles), BLOCK):
            images = self.image.transform(profiles[start : start + BLOCK])
            blocks.append(_statistics(images.reshape(len(images), -1)[:, outwards], radius[outwards]))
        return np.concatenate(blocks)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the statistics; `input_features` is there for scikit-learn and has no effect."""
        return np.array(NAMES, dtype=object)


def _statistics(pixels: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return the statistics, shape (N, 8), of pixels in the order of their radius, shapes (N, k) and (k,)."""
    pixels = np.where(np.abs(pixels) < ROUNDING, 0, pixels).astype(float)
    n = pixels.shape[1]
    mean = pixels.mean(axis=1)
    deviation = pixels - mean[:, None]
    square = deviation**2
    spread = np.sqrt(square.mean(axis=1))
    unit = np.where(spread > ROUNDING, spread, 1)
    share = np.abs(pixels)
    share[share.sum(axis=1) == 0] = 1
    share /= share.sum(axis=1, keepdims=True)
    within = np.cumsum(share, axis=1)
    r20, r80 = (radius[(within >= part).argmax(axis=1)] for part in (0.2, 0.8))
    rank = np.arange(1, n + 1)
    return np.stack(
        [
            mean,
            spread,
            (square * deviation).mean(axis=1) / unit**3,
            np.where(spread > ROUNDING, (square**2).mean(axis=1) / unit**4 - 3, 0),
            np.sort(share, axis=1) @ (2 * rank - n - 1) / (n - 1),
            5 * np.log10(r80 / r20),
            pixels.min(axis=1),
            pixels.max(axis=1),
        ],
        axis=1,
    )
