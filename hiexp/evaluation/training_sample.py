"""What a model was trained on, as far as it takes to say of other objects that they are unlike it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from hiexp.errors import InputError
from hiexp.fitting.measurements import MEASUREMENTS

if TYPE_CHECKING:
    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

TRAINING_FILE = "training.safetensors"
QUANTITIES = {"snr": "S/N", "w50": "W50", "channel_width": "channel width"}
UNITS = {"snr": "", "w50": f" {MEASUREMENTS['w50'].unit}", "channel_width": " km / s"}
SLACK = 1.1  # a range ends where a value is a tenth beyond all that were trained on: measurements have errors
KEPT = 2000  # training objects, drawn at random where there are more
COMPONENTS = 32
NEIGHBOUR = 5
STEPS = 65  # of an axis, evenly taken: enough for its median, beside gaps and channels that are no longer there
LARGEST = 1e12  # of a feature: squares of larger ones would overflow in single precision
PERCENTILE = 99
SAME = 1e-3  # of the threshold: how far an object is from itself, computed again
FAR = "unlike the training objects in its features"
MOST_ROWS, MOST_COMPONENTS, MOST_NUMBERS = 100_000, 1_000, 1 << 28  # of a file from elsewhere
FORMAT = "1"


def line_quantities(spectra: Spectra, fit: FitResult) -> pd.DataFrame:
    """Return S/N, W50 (km/s) and channel width (km/s, the axis' median step) of N objects, NaN where unknown."""
    width, last = np.full(len(spectra), np.nan), spectra.velocity.shape[1] - 1
    if last > 0:
        first = np.unique(np.linspace(0, last - 1, STEPS).astype(int))
        width = np.median(spectra.velocity[:, first + 1] - spectra.velocity[:, first], axis=1)
    return fit.table[["snr", "w50"]].astype(float).assign(channel_width=width)


@dataclass(frozen=True)
class TrainingSample:
    """The ranges of a training sample's lines, and where its objects are in the space of their features.

    Features of more than 32 numbers are projected on the principal components of the training objects; what those
    leave of an object is one more coordinate. An object whose distance to its fifth nearest training object is
    greater than that of 99 % of the training objects to theirs, themselves not counted, is unlike them (the distance
    to the k-th neighbour as a score of outliers: Ramaswamy, Rastogi & Shim 2000, SIGMOD Record 29, 427).

    Attributes
    ----------
    ranges : mapping of str to (float, float)
        Least and greatest value of those `QUANTITIES` that are known of a training object.
    mean : ndarray of float32, shape (D,)
        Mean features of the training objects.
    components : ndarray of float32, shape (C, D)
        Principal components; none where D is small.
    points : ndarray of float32, shape (M, C + 1) or (M, D)
        Training objects, at most 2000.
    threshold : float
        Distance beyond which an object is unlike them.
    """

    ranges: Mapping[str, tuple[float, float]]
    mean: np.ndarray
    components: np.ndarray
    points: np.ndarray
    threshold: float

    @classmethod
    def of(cls, features: np.ndarray, quantities: pd.DataFrame) -> Self:
        """Return what there is to know of training objects.

        Parameters
        ----------
        features : ndarray, shape (N, ...)
            What the classifier was trained on; N at least 2.
        quantities : DataFrame
            Their `line_quantities`.
        """
        from sklearn.decomposition import PCA
        from sklearn.neighbors import NearestNeighbors

        ranges = {}
        for name in QUANTITIES:
            known = quantities[name].to_numpy()
            known = known[np.isfinite(known) & (known > 0)]
            if known.size:
                ranges[name] = (float(known.min()), float(known.max()))
        rows = np.sort(np.random.default_rng(0).permutation(len(features))[:KEPT])
        flat = _flat(features[rows])
        # So small a matrix takes several threads longer, where others compute as well. Features may be all the same.
        with threadpool_limits(1), np.errstate(invalid="ignore", divide="ignore"):
            if flat.shape[1] > COMPONENTS:
                pca = PCA(min(COMPONENTS, len(rows) - 1), random_state=0).fit(flat)
                mean, components = pca.mean_.astype(np.float32), pca.components_.astype(np.float32)
            else:
                mean, components = flat.mean(axis=0), np.empty((0, flat.shape[1]), np.float32)
            points = _placed(flat, mean, components)
            number = min(NEIGHBOUR, len(points) - 1)
            distance = NearestNeighbors(n_neighbors=number).fit(points).kneighbors()[0][:, -1]
        return cls(ranges, mean, components, points, float(np.percentile(distance, PERCENTILE)))

    def coordinates(self, features: np.ndarray) -> np.ndarray:
        """Return where objects are: along the components and what these leave, or their features without the mean.

        Parameters
        ----------
        features : ndarray, shape (N, ...)
            As those of the training objects.

        Returns
        -------
        ndarray of float32, shape (N, C + 1) or (N, D)
        """
        return _placed(_flat(features), self.mean, self.components)

    def distances(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how far objects are from the nearest and from the fifth nearest training object, each shape (N,).

        Parameters
        ----------
        features : ndarray, shape (N, ...)
            As those of the training objects.

        Raises
        ------
        InputError
            If there are more or fewer of them.
        """
        from sklearn.neighbors import NearestNeighbors

        flat = _flat(features)
        if flat.shape[1] != self.mean.size:
            raise InputError(
                f"{TRAINING_FILE} of this model is about {self.mean.size} features, and the model makes "
                f"{flat.shape[1]}: the file belongs to another model; take it away"
            )
        # As many others as of a training object: not so many where the sample is as small as that.
        number = min(NEIGHBOUR, len(self.points) - 1)
        neighbours = NearestNeighbors(n_neighbors=number).fit(self.points)
        found = neighbours.kneighbors(_placed(flat, self.mean, self.components))[0]
        return found[:, 0], found[:, -1]

    def seen(self, nearest: np.ndarray) -> np.ndarray:
        """Return which objects, by the first of their `distances`, are training objects themselves, shape (N,)."""
        return nearest <= SAME * self.threshold

    def reasons(self, distance: np.ndarray, quantities: pd.DataFrame) -> list[tuple[str, ...]]:
        """Return in words what about each of N objects is unlike the training sample.

        Parameters
        ----------
        distance : ndarray, shape (N,)
            The second of their `distances`.
        quantities : DataFrame
            Their `line_quantities`; what is NaN is not compared.
        """
        unlike = {}
        for name, (least, most) in self.ranges.items():
            values = quantities[name].to_numpy()
            title, unit = QUANTITIES[name], UNITS[name]
            unlike[f"{title} below {least:.4g}{unit}"] = values < least / SLACK
            unlike[f"{title} above {most:.4g}{unit}"] = values > most * SLACK
        unlike[FAR] = distance > self.threshold
        return [tuple(words for words, is_so in unlike.items() if is_so[row]) for row in range(len(distance))]

    def save(self, file: Path) -> None:
        """Write everything for `load`: a safetensors file, its numbers beside the arrays in the header."""
        from safetensors.numpy import save_file

        numbers = {"format": FORMAT, "ranges": json.dumps(dict(self.ranges)), "threshold": repr(self.threshold)}
        arrays = {"mean": self.mean, "components": self.components, "points": self.points}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, file, metadata=numbers)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what `save` wrote, or somebody else has made to look like it.

        Raises
        ------
        InputError
            If it is damaged, or no such file.
        """
        from safetensors import safe_open

        try:
            with safe_open(file, "numpy") as stored:
                shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
                _check_shapes(shapes)
                arrays = {name: stored.get_tensor(name) for name in shapes}
                numbers = stored.metadata() or {}
            ranges = _checked_ranges(json.loads(numbers["ranges"]))
            threshold = float(numbers["threshold"])
            if any(array.dtype != np.float32 or not np.isfinite(array).all() for array in arrays.values()):
                raise ValueError("an array is not of finite float32")
            if numbers.get("format") != FORMAT or not (np.isfinite(threshold) and threshold >= 0):
                raise ValueError(f"threshold={threshold:g}, format={numbers.get('format')}")
        except Exception as error:  # safetensors, json and NumPy raise a dozen kinds on damaged files
            reason = (str(error) or type(error).__name__).partition("\n")[0][:200]
            raise InputError(
                f"{file}: damaged ({reason}); without this file the model predicts, and nothing is said of objects "
                "unlike those it was trained on"
            ) from error
        return cls(ranges, arrays["mean"], arrays["components"], arrays["points"], threshold)


def _flat(features: np.ndarray) -> np.ndarray:
    """Return features as rows of finite numbers, whatever a classifier accepts."""
    given = np.asarray(features).reshape(len(features), -1)
    # NaN is neither the one nor the other.
    if given.dtype == np.float32 and given.size and given.min() >= -LARGEST and given.max() <= LARGEST:
        return given
    rows = np.nan_to_num(
        np.asarray(features, dtype=float).reshape(len(features), -1), posinf=LARGEST, neginf=-LARGEST
    )
    return rows.clip(-LARGEST, LARGEST).astype(np.float32)


def _placed(flat: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Return the coordinates of features, shape (N, D): themselves, or along the components and what these leave."""
    centred = flat - mean
    if not len(components):
        return centred
    along = centred @ components.T
    left = np.square(centred).sum(axis=1) - np.square(along).sum(axis=1)
    return np.column_stack([along, np.sqrt(left.clip(min=0))])


def _check_shapes(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise a ValueError where arrays are not those of a training sample, before any is read."""
    if shapes.keys() != {"mean", "components", "points"}:
        raise ValueError(f"it holds {', '.join(sorted(shapes)) or 'nothing'}")
    (n_features,), (n_components, width), (n_points, n_coordinates) = (
        shapes[name] for name in ("mean", "components", "points")
    )
    fits = width == n_features and n_coordinates == (n_components + 1 if n_components else n_features)
    within = 2 <= n_points <= MOST_ROWS and n_components <= MOST_COMPONENTS
    if not (fits and within and max(n_points * n_coordinates, (n_components + 1) * n_features) <= MOST_NUMBERS):
        raise ValueError(f"its arrays have the shapes {dict(shapes)}")


def _checked_ranges(found: object) -> dict[str, tuple[float, float]]:
    if not isinstance(found, dict) or not found.keys() <= QUANTITIES.keys():
        raise ValueError("its ranges are not those of S/N, W50 and channel width")
    ranges = {name: (float(low), float(high)) for name, (low, high) in found.items()}
    if not all(0 <= low <= high < np.inf for low, high in ranges.values()):
        raise ValueError("its ranges have no end, or end before they begin")
    return ranges
