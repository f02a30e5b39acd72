"""The profile rotated into a disc image (Jaimes-Illanes et al. 2025, arXiv:2501.11657)."""

from __future__ import annotations

from typing import Literal, Self, get_args

import numpy as np
from sklearn.utils.validation import validate_data

from hiexp.errors import InputError
from hiexp.features.raw import unit_range
from hiexp.features.stateless import StatelessTransformer
from hiexp.kinds import Several

Kind = Literal["whole", "difference", "rescaled_difference"]
KINDS = get_args(Kind)
BLOCK = 64  # profiles worked on at a time: their values stay in the processor's cache


class DiscImage(StatelessTransformer):
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
        self, kind: Kind = "difference", size: Several = 32, quarter: bool = True, colormap: str | None = None
    ) -> None:
        self.kind = kind
        self.size = size
        self.quarter = quarter
        self.colormap = colormap

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Check the settings and the profiles, shape (N, n); there is nothing to learn.

        Raises
        ------
        InputError
            If a setting is none of the choices.
        """
        self._check()
        validate_data(self, X, ensure_min_features=4)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the images, float32, shape (N, 1 or 3, size, size); 0 outside the disc, or its colour."""
        self._check()
        profiles = validate_data(self, X, reset=False)
        # Many pixels share a radius: each is interpolated once and then copied to all of its pixels.
        radius, ring = np.unique(self.radius(), return_inverse=True)
        radius = radius[radius <= 1]
        ring = np.minimum(ring, len(radius)).ravel()
        channels = 1 if self.colormap is None else 3
        images = np.empty((len(profiles), channels, ring.size), dtype=np.float32)
        values = np.zeros((BLOCK, len(radius) + 1), dtype=np.float32)  # the last one is for pixels outside the disc
        for start in range(0, len(profiles), BLOCK):
            radial = self._radial(unit_range(profiles[start : start + BLOCK])).astype(np.float32)
            rings = values[: len(radial)]
            rings[:, :-1] = _interpolate(radial, radius)
            shown = rings[:, None] if self.colormap is None else self._colours(rings)
            # mode: numpy writes into `out` without a copy only where no index can be out of range.
            np.take(shown, ring, axis=2, out=images[start : start + BLOCK], mode="clip")
        return images.reshape(len(profiles), channels, self.size, self.size)

    def radius(self) -> np.ndarray:
        """Return the radius of each pixel's centre, 1 at the disc's edge, shape (size, size).

        Pixels at the same distance have the same number, to the last bit.
        """
        # In half pixels from the centre: whole numbers, of which equal distances have equal squares.
        along = 2 * np.arange(self.size, dtype=np.int64) + 1
        edge = 2 * self.size
        if not self.quarter:
            along, edge = along - self.size, self.size
        return np.sqrt(along[:, None] ** 2 + along[None, :] ** 2) / edge

    def _check(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"feature.kind={self.kind}: choose one of {', '.join(KINDS)}")
        if self.size < 2:
            raise InputError(f"feature.size={self.size}: an image needs at least 2 pixels a side")
        if self.colormap is not None:
            _colormap(self.colormap)

    def _radial(self, unit: np.ndarray) -> np.ndarray:
        """Return the function of radius, shape (N, m): from the centre of the disc to its edge."""
        if self.kind == "whole":
            return unit
        half = unit.shape[1] // 2
        difference = unit[:, -half:] - unit[:, :half][:, ::-1]
        return difference if self.kind == "difference" else unit_range(difference)

    def _colours(self, values: np.ndarray) -> np.ndarray:
        """Return RGB, 0..1, shape (N, 3, m), of values, shape (N, m)."""
        shade = (values + 1) / 2 if self.kind == "difference" else values
        return np.moveaxis(_colormap(str(self.colormap))(shade)[..., :3], -1, 1).astype(np.float32)


def _interpolate(radial: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Interpolate functions of radius, shape (N, m), at each `radius`, shape (k,), 0..1; shape (N, k)."""
    sample = radius * (radial.shape[1] - 1)
    below = np.minimum(sample.astype(int), radial.shape[1] - 2)
    share = (sample - below).astype(np.float32)
    return np.take(radial, below, axis=1) * (1 - share) + np.take(radial, below + 1, axis=1) * share


def _colormap(name: str):
    from matplotlib import colormaps

    if name not in colormaps:
        raise InputError(f"feature.colormap={name}: no such matplotlib colour map, try RdBu or magma_r")
    return colormaps[name]


class Flatten(StatelessTransformer):
    """Images as rows of pixels, for classifiers that take two-dimensional arrays."""

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Do nothing: there is nothing to learn."""
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return shape (N, pixels)."""
        return X.reshape(len(X), -1)
