"""Lines and features of a sample in few bytes an object: what it takes to look at many of them on one page."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from hiexp.errors import InputError
from hiexp.evaluation.training_sample import TrainingSample
from hiexp.long_tables import is_long
from hiexp.mapped import parts_of
from hiexp.run.reading import AGAIN, MOST_BYTES_OF_A_TABLE, read_content

if TYPE_CHECKING:
    import pyarrow as pa

    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

PROFILES_FILE, PLACES_FILE = "profiles.parquet", "features.parquet"
MOST_OBJECTS = 65_535  # a page shows; of larger samples neither file is written
SAMPLES = 64  # of a line
BEYOND = 0.25  # widths of the window of the fit that are kept to each side of it
STEPS = 254  # between the least and the greatest value of a line; the code 0 is for no value
MOST_PIXELS = 4_000_000  # of all images together
ROWS = 1024  # objects worked on at a time: their features stay in the processor's cache
NOTES = b"hiexp"  # key of what is said of a table as a whole


def on_a_page(n_objects: int) -> bool:
    """Tell whether a sample is small enough for the files of this module."""
    return n_objects <= MOST_OBJECTS and not is_long(n_objects)


@dataclass(frozen=True)
class CompactLines:
    """Spectra and fitted curves of N objects around their lines, each in 64 samples of 8 bit.

    Attributes
    ----------
    ids : ndarray of str, shape (N,)
        Objects with a good fit.
    ends : ndarray of float32, shape (N, 2)
        Velocity of the first and the last sample, km/s; samples are evenly spaced.
    limits : ndarray of float32, shape (N, 2)
        Flux density of the codes 1 and 255, mJy.
    data : ndarray of uint8, shape (N, 64)
        Mean of the spectrum over each sample; 0 where no channel is valid.
    curves : ndarray of uint8, shape (N, 64)
        The profile that the feature is made from; 0 outside the window of the fit.
    model : bool
        Whether the profile is a fitted curve; it is the data over the window where it is not.
    """

    ids: np.ndarray
    ends: np.ndarray
    limits: np.ndarray
    data: np.ndarray
    curves: np.ndarray
    model: bool

    @classmethod
    def of(cls, spectra: Spectra, fit: FitResult) -> Self:
        """Return the lines of the objects that have a good fit."""
        rows = np.flatnonzero(fit.good)
        windows = np.sort(fit.windows[rows], axis=1)
        width = windows[:, 1] - windows[:, 0]
        first, step = windows[:, 0] - BEYOND * width, (1 + 2 * BEYOND) * width / SAMPLES
        values = np.full((len(rows), 2, SAMPLES), np.nan, np.float32)
        for place, row in enumerate(rows):
            edges = first[place] + step[place] * np.arange(SAMPLES + 1)
            values[place, 0] = rebinned(spectra.velocity[row], spectra.flux[row], spectra.valid[row], edges)
            along = np.linspace(fit.windows[row, 0], fit.windows[row, 1], fit.profiles.shape[1])
            order = slice(None, None, -1 if along[-1] < along[0] else 1)
            middle = (edges[1:] + edges[:-1]) / 2
            values[place, 1] = np.interp(middle, along[order], fit.profiles[row, order], np.nan, np.nan)
        limits, codes = _coded(values.reshape(len(rows), 2 * SAMPLES))
        ends = np.stack([first + step / 2, first + step * (SAMPLES - 0.5)], axis=1).astype(np.float32)
        data, curves = codes[:, :SAMPLES], codes[:, SAMPLES:]
        return cls(np.asarray(spectra.ids)[rows].astype(str), ends, limits, data, curves, bool(fit.parameters))

    def take(self, rows: np.ndarray) -> Self:
        """Return the lines of some of the objects."""
        taken = {name: getattr(self, name)[rows] for name in ("ids", "ends", "limits", "data", "curves")}
        return replace(self, **taken)

    def write(self, file: Path) -> None:
        """Write a table with a row an object."""
        import pyarrow as pa

        columns = {
            "id": pa.array(self.ids.tolist(), pa.string()),
            "ends": _rows(self.ends),
            "limits": _rows(self.limits),
            "data": _rows(self.data),
            "curve": _rows(self.curves),
        }
        _write(columns, {"model": self.model}, file)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `write` wrote.

        Raises
        ------
        InputError
            If the file is damaged, or no such table.
        """
        table, notes = _read(file)
        arrays = {
            name: _array(table, name, kind, width, file)
            for name, kind, width in (
                ("ends", np.float32, 2),
                ("limits", np.float32, 2),
                ("data", np.uint8, SAMPLES),
                ("curve", np.uint8, SAMPLES),
            )
        }
        return cls(
            _ids(table, file),
            arrays["ends"],
            arrays["limits"],
            arrays["data"],
            arrays["curve"],
            notes.get("model") is True,
        )


@dataclass(frozen=True)
class FeaturePlaces:
    """Where N objects are in the space of a feature, and their images where the feature makes any.

    Attributes
    ----------
    ids : ndarray of str, shape (N,)
        Objects that took part.
    coordinates : ndarray of float32, shape (N, C)
        As `TrainingSample.coordinates` has them.
    n_features : int
        Numbers that the feature makes of an object.
    images : ndarray of uint8, shape (N, size, size, channels), or None
        Pixels; None where the feature makes no images, or all of them have more than four million pixels.
    limits : tuple of float
        Least and greatest value of an image of one channel; 0 and 1 where it is in colour.
    left_out : bool
        Whether there are images that are too many.
    """

    ids: np.ndarray
    coordinates: np.ndarray
    n_features: int
    images: np.ndarray | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    left_out: bool = False

    @classmethod
    def of(cls, ids: np.ndarray, values: np.ndarray, sample: TrainingSample) -> Self:
        """Return the places of objects by what a feature makes of them.

        Parameters
        ----------
        ids : ndarray of str, shape (N,)
            Their names.
        values : ndarray, shape (N, ...)
            The feature's; images have the shape (N, 1 or 3, size, size).
        sample : TrainingSample
            Says which coordinates are taken.
        """
        coordinates = np.concatenate([sample.coordinates(part) for part in parts_of(values, ROWS)])
        n_features, images, limits = int(np.prod(values.shape[1:])), None, (0.0, 1.0)
        drawn = values.ndim == 4 and values.shape[1] in (1, 3) and values.shape[2] == values.shape[3]
        left_out = drawn and values.size > MOST_PIXELS
        if drawn and not left_out:
            pixels = np.nan_to_num(np.moveaxis(values, 1, -1))
            if values.shape[1] == 1:
                limits = (-1.0, 1.0) if pixels.min() < 0 else (0.0, 1.0)
            images = np.rint((pixels - limits[0]) / (limits[1] - limits[0]) * 255).clip(0, 255).astype(np.uint8)
        return cls(np.asarray(ids).astype(str), coordinates, n_features, images, limits, left_out)

    def write(self, file: Path) -> None:
        """Write a table with a row an object."""
        import pyarrow as pa

        columns = {"id": pa.array(self.ids.tolist(), pa.string()), "coordinates": _rows(self.coordinates)}
        notes: dict[str, object] = {"n_features": self.n_features, "left_out": self.left_out}
        if self.images is not None:
            columns["image"] = _rows(self.images.reshape(len(self.images), -1))
            notes |= {"shape": self.images.shape[1:], "limits": self.limits}
        _write(columns, notes, file)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `write` wrote.

        Raises
        ------
        InputError
            If the file is damaged, or no such table.
        """
        table, notes = _read(file)
        ids, coordinates = _ids(table, file), _array(table, "coordinates", np.float32, None, file)
        try:
            n_features, left_out = int(notes["n_features"]), notes["left_out"] is True
            if "image" not in table.column_names:
                return cls(ids, coordinates, n_features, left_out=left_out)
            size, other, channels = (int(number) for number in notes["shape"])
            low, high = (float(number) for number in notes["limits"])
            if size != other or channels not in (1, 3) or not low < high:
                raise ValueError(f"images of {size} x {other} x {channels}, {low} to {high}")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file} is damaged: {error}; {AGAIN}") from error
        images = _array(table, "image", np.uint8, size * size * channels, file)
        return cls(ids, coordinates, n_features, images.reshape(len(ids), size, size, channels), (low, high))


def rebinned(velocity: np.ndarray, flux: np.ndarray, valid: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the mean flux density between edges, NaN where no valid channel lies; flux is conserved.

    Parameters
    ----------
    velocity, flux : ndarray, shape (L,)
        Middle of each channel, km/s, ascending, and its flux density, mJy.
    valid : ndarray of bool, shape (L,)
        Channels that count.
    edges : ndarray, shape (n + 1,)
        Borders of n samples, km/s, ascending.
    """
    if len(velocity) < 2:
        return np.full(len(edges) - 1, np.nan)
    middle = (velocity[1:] + velocity[:-1]) / 2
    borders = np.concatenate([[2 * velocity[0] - middle[0]], middle, [2 * velocity[-1] - middle[-1]]])
    weight = np.where(valid, np.diff(borders), 0.0)
    total = np.concatenate([[0.0], np.cumsum(weight * np.where(valid, flux, 0.0))])
    covered = np.diff(np.interp(edges, borders, np.concatenate([[0.0], np.cumsum(weight)])))
    known = covered > 1e-6 * np.diff(edges)
    return np.where(known, np.diff(np.interp(edges, borders, total)) / np.where(known, covered, 1.0), np.nan)


def _coded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return limits, shape (N, 2), and codes, shape (N, n), of values, shape (N, n), some of them NaN."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=1, initial=-np.inf)
    some = np.isfinite(low)
    low, high = np.where(some, low, 0.0), np.where(some, high, 0.0)
    span = np.where(high > low, high - low, 1.0)
    codes = 1 + np.rint((np.where(known, values, low[:, None]) - low[:, None]) / span[:, None] * STEPS)
    return np.stack([low, low + span], axis=1).astype(np.float32), np.where(known, codes, 0).astype(np.uint8)


def _rows(array: np.ndarray) -> pa.Array:
    """Return an array, shape (N, n), as a column of lists of n."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).ravel()), array.shape[1])


def _write(columns: dict[str, pa.Array], notes: dict[str, object], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns).replace_schema_metadata({NOTES: json.dumps(notes).encode()})
    pq.write_table(table, file, compression="zstd", version="2.4")


def _read(file: Path) -> tuple[pa.Table, dict]:
    import pyarrow.parquet as pq

    content = read_content(file, MOST_BYTES_OF_A_TABLE)
    try:
        table = pq.read_table(io.BytesIO(content))
        notes = json.loads((table.schema.metadata or {})[NOTES])
        if not isinstance(notes, dict) or len(table) > MOST_OBJECTS:
            raise ValueError(f"{len(table)} rows, {str(notes)[:80]}")
    except Exception as error:  # pyarrow and json raise many kinds at what is no table
        raise InputError(f"{file} is damaged: {str(error).partition(chr(10))[0][:80]}; {AGAIN}") from error
    return table, notes


def _ids(table: pa.Table, file: Path) -> np.ndarray:
    found = table["id"].to_pylist() if "id" in table.column_names else []
    if not found or not all(isinstance(name, str) for name in found) or len({*found}) < len(found):
        raise InputError(f"{file} is damaged: its rows have no names, or not one each; {AGAIN}")
    return np.array(found)


def _array(table: pa.Table, name: str, kind: type, width: int | None, file: Path) -> np.ndarray:
    """Return a column of lists as an array, shape (N, width), of any width where none is given."""
    try:
        flat = table[name].combine_chunks().flatten().to_numpy()
        array = flat.reshape(len(table), -1 if width is None else width)
        if array.dtype != kind or (kind is np.float32 and not np.isfinite(array).all()):
            raise ValueError(f"{name} holds what is no finite {kind.__name__}")
    except Exception as error:  # pyarrow raises many kinds
        raise InputError(f"{file} is damaged: {str(error).partition(chr(10))[0][:80]}; {AGAIN}") from error
    return array
