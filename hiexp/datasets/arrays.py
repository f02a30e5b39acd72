"""Any sample of series: .npz, .csv and .ts files."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.datasets.files import is_folder
from hiexp.datasets.tables import column_named, listed, read_table
from hiexp.datasets.ts import read_ts
from hiexp.errors import InputError
from hiexp.spectra import UNKNOWN, Spectra
from hiexp.spectral.axis import check_velocities, plausible
from hiexp.spectral.channels import LARGEST, find_fill_values, noise_rms, unusual_noise

log = logging.getLogger(__name__)

KEYS = {"x": "X", "flux": "X", "y": "y", "labels": "y"} | {key: key for key in ("velocity", "ids", "rms", "split")}
CSV_COLUMNS = {"ids": ("id", ""), "labels": ("class", "label"), "split": ("split",)}
PARTS = {"train": False, "test": True}
NO_LABEL = ("", "?", "--", "nan", "NaN", str(UNKNOWN))
EXACT = 2**53  # whole numbers beyond it are merged in double precision
MOST_DIGITS = 15  # of a class number, so that it stays below EXACT


@dataclass(frozen=True)
class _Sample:
    """What a file said: `series` (N, L), NaN where missing; the rest None where it said nothing."""

    series: np.ndarray
    labels: np.ndarray | None = None
    velocity: np.ndarray | None = None
    ids: np.ndarray | None = None
    rms: np.ndarray | None = None
    split: np.ndarray | None = None


def read_arrays(path: str) -> Spectra:
    """Read a sample of series of equal length, labelled or not, with a velocity axis or without.

    Parameters
    ----------
    path : str
        - ``.npz`` with ``X`` (or ``flux``), shape (N, L), and any of ``y`` (or ``labels``), ``velocity`` of
          shape (L,) or (N, L), ``ids``, ``rms`` (one number, one a series or one a sample), and ``split``, which
          says "train" or "test" of each series;
        - ``.csv`` with a line of names and a row a series: columns ``id``, ``class`` (or ``label``) and
          ``split`` where there are any (a column without a name is an id), the others samples in their order;
          names that are all numbers are the velocities, unless they count 0, 1, 2, ... or 1, 2, 3, ...;
        - ``.ts`` of aeon, sktime and the UCR archive; a pair ``NAME_TRAIN.ts`` and ``NAME_TEST.ts``, given as
          NAME or as the folder that holds it, is one sample with its published split.

    Returns
    -------
    Spectra
        The series as `flux`, in the unit they have, nothing masked but missing and fill values (-999 and its
        like: a warning counts them); without a velocity axis, samples are counted from 0. Labels that are whole
        numbers from 0 up are the classes, -1 (in .npz and .csv) none; any others become 0..K-1 in sorted order.
        Either way the catalogue has them as written, as ``class_name``. Where no noise is given it is estimated,
        and NaN for a constant series. A series with fewer than two values, or with one beyond single precision,
        is in `skipped`.

    Raises
    ------
    InputError
        If the file is missing or holds something else, or its velocities cannot be those of HI spectra in km/s; the
        message says what.
    """
    sample = _read(Path(path))
    n, length = sample.series.shape
    if n == 0 or length < 2:
        raise InputError(f"dataset.path={path}: {n} series of {length} samples; at least 1 of 2 are needed")
    ids = _unique_ids(sample, path)
    velocity, series, given = _ascending(sample, path)
    valid = np.isfinite(series)
    valid = valid & ~_fill_values(series, valid, sample.velocity is None, path)
    flux = np.where(valid, series, 0.0)
    reference, catalogue = None, pd.DataFrame(index=pd.Index(ids, name="id"))
    if sample.labels is not None:
        reference, catalogue["class_name"] = _classes(sample.labels, path)
    reasons = _reasons_to_skip(flux, valid)
    usable = reasons == ""
    if not usable.any():
        raise InputError(f"dataset.path={path}: none of its {n} series can be used; the first: {reasons[0]}")
    rms = _noise(given, flux, valid & usable[:, None], path)
    if sample.velocity is not None and given is None:
        doubt = unusual_noise(float(np.median(rms[np.isfinite(rms)]))) if np.isfinite(rms).any() else None
        if doubt:
            log.warning("%s: %s; fluxes are taken for mJy: multiply by 1000 what is in Jy", path, doubt)
    return Spectra(
        ids=ids,
        velocity=velocity,
        flux=flux,
        rms=rms,
        valid=valid,
        catalogue=catalogue,
        systemic=np.full(n, np.nan),
        reference=reference,
        held_out=_held_out(sample.split, path),
        skipped=pd.DataFrame({"name": ids[~usable], "reason": reasons[~usable]}),
    ).take(usable)


def _fill_values(series: np.ndarray, given: np.ndarray, no_spectra: bool, path: str) -> np.ndarray:
    """Mark samples that hold a fill value, bool, shape (N, L), and say how many do."""
    fill = np.array([find_fill_values(row, use, no_spectra) for row, use in zip(series, given, strict=True)])
    for value in np.unique(series[fill]):
        held = fill & (series == value)
        counts = np.count_nonzero(held), np.count_nonzero(held.any(axis=1))
        log.warning("%s: %d samples of %d series hold the fill value %g and are masked", path, *counts, value)
    return fill


def _reasons_to_skip(flux: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return why a series cannot be used, shape (N,); empty where it can."""
    n_valid, largest = valid.sum(axis=1), np.abs(flux).max(axis=1)
    reasons = np.full(len(flux), "", dtype=object)
    for row in np.flatnonzero(largest > LARGEST):
        reasons[row] = f"a value of {largest[row]:.3g} is beyond single precision; rescale the series"
    for row in np.flatnonzero(n_valid < 2):
        reasons[row] = f"{n_valid[row]} of {flux.shape[1]} samples are finite"
    return reasons


def _read(path: Path) -> _Sample:
    """Read by the name's ending; a name without one is that of a pair of files."""
    readers = {".npz": _read_npz, ".csv": _read_csv, ".ts": lambda file: _Sample(*read_ts(file))}
    folder = is_folder(path, "dataset.path")
    if path.is_file():
        if path.suffix.lower() not in readers:
            raise InputError(f"dataset.path={path}: not one of {', '.join(readers)}; convert it to one of these")
        return readers[path.suffix.lower()](path)
    if folder:
        found = sorted(path.glob("*_TRAIN.ts"))
        if len(found) != 1:
            raise InputError(
                f"dataset.path={path}: {len(found)} files *_TRAIN.ts in this folder; "
                "give a file, or a pair of them as FOLDER/NAME"
            )
        path = found[0].with_name(found[0].name.removesuffix("_TRAIN.ts"))
    train, test = (path.with_name(f"{path.name}_{part}.ts") for part in ("TRAIN", "TEST"))
    if not train.is_file() and not test.is_file():
        raise InputError(
            f"dataset.path={path}: no such file; give a .npz, .csv or .ts file, or NAME of NAME_TRAIN.ts"
        )
    for file in (train, test):
        if not file.is_file():
            raise InputError(f"dataset.path={path}: {file.name} is missing beside its other half")
    return _read_pair(train, test)


def _read_pair(train: Path, test: Path) -> _Sample:
    (series, labels), (series_held, labels_held) = read_ts(train), read_ts(test)
    if series.shape[1] != series_held.shape[1]:
        raise InputError(f"{test}: series of {series_held.shape[1]} values, and of {series.shape[1]} in {train.name}")
    if (labels is None) != (labels_held is None):
        raise InputError(f"{test}: one of it and {train.name} has class labels, the other has none")
    sizes = {"train": len(series), "test": len(series_held)}
    return _Sample(
        series=np.concatenate([series, series_held]),
        labels=None if labels is None else np.concatenate([labels, labels_held]),
        ids=np.array([f"{part}{number}" for part, size in sizes.items() for number in range(1, size + 1)]),
        split=np.repeat(list(sizes), list(sizes.values())),
    )


def _read_npz(file: Path) -> _Sample:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            names = {name: KEYS[name.lower()] for name in stored if name.lower() in KEYS}
            if "X" not in names.values() or len(set(names.values())) < len(names):
                raise InputError(
                    f"{file}: needs one key X (or flux) and at most one of each other; it has {', '.join(stored)}"
                )
            unread = [name for name in stored if name not in names]
            if unread:
                log.warning(
                    "%s: not read: %s; what is read is named X (or flux), y (or labels), %s",
                    *(file, listed(unread), ", ".join(key for key in KEYS.values() if key not in "Xy")),
                )
            found = {key: _stored(stored, name, file) for name, key in names.items()}
    except InputError:
        raise
    except Exception as error:  # NumPy raises EOFError, ValueError, BadZipFile, ... on damaged files
        raise InputError(f"{file} is no .npz file of NumPy ({error}); write it with numpy.savez") from error
    series = found.pop("X")
    if series.ndim == 3 and series.shape[1] == 1:  # aeon's (series, dimensions, samples)
        series = series[:, 0]
    if series.ndim != 2:
        raise InputError(f"{file}: X has the shape {series.shape}; (N, L) is needed, a row a series")
    numbers = {"X": series} | {key: found[key] for key in ("velocity", "rms") if key in found}
    for key, values in numbers.items():
        if values.dtype.kind not in "fiu":
            raise InputError(f"{file}: {key} is not of real numbers but of type {values.dtype}")
    for key in found.keys() & {"y", "ids", "split"}:
        if found[key].shape != (len(series),):
            raise InputError(f"{file}: {key} has the shape {found[key].shape} where X has {len(series)} series")
    labels = found.pop("y", None)
    if labels is not None and labels.dtype.kind not in "fiubUS":
        raise InputError(f"{file}: y is not of numbers or text but of type {labels.dtype}")
    text = {key: _decoded(found.pop(key), key, file) for key in ("ids", "split") if key in found}
    if labels is not None:
        labels = _as_text(_decoded(labels, "y", file), file)
    return _Sample(series=series.astype(float), labels=labels, **found, **text)


def _decoded(values: np.ndarray, key: str, file: Path) -> np.ndarray:
    """Return bytes as text, anything else as it is."""
    if values.dtype.kind != "S":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: {key} has the bytes {error.object!r}, which are not UTF-8; save text") from error


def _stored(stored: np.lib.npyio.NpzFile, name: str, file: Path) -> np.ndarray:
    try:
        return np.asarray(stored[name])
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise InputError(
            f"{file}: {name} holds Python objects, which could run code; save numbers or text ({error})"
        ) from error


def _as_text(labels: np.ndarray, file: Path) -> np.ndarray:
    """Return labels as they would be written: whole numbers without a point, "" for NaN and -1."""
    if labels.dtype.kind == "U":
        return np.char.strip(labels)
    if labels.dtype.kind == "f":
        none = np.isnan(labels) | (labels == UNKNOWN)
        labels = np.where(none, 0.0, labels).astype(float)
        if (np.abs(labels) > EXACT).any():
            raise InputError(
                f"{file}: y has the label {labels[np.abs(labels) > EXACT][0]:g}; beyond 2^53 labels cannot be told "
                "apart as floating-point numbers: save them as integers or text"
            )
        written = [str(int(value) if value.is_integer() else value) for value in labels.tolist()]
    else:
        none = labels == UNKNOWN
        written = [str(int(value)) for value in labels.tolist()]
    return np.where(none, "", written)


def _read_csv(file: Path) -> _Sample:
    table = read_table(file, text_columns=("id", "", "class", "label", "split"))
    for key, names in CSV_COLUMNS.items():
        found = [str(name) for name in table.columns if name.lower() in names]
        if len(found) > 1:
            raise InputError(f"{file}: columns {' and '.join(map(repr, found))} for one thing, the {key}; leave one")
    taken = {key: column_named(table, *names) for key, names in CSV_COLUMNS.items()}
    columns = {key: table.pop(name) for key, name in taken.items() if name is not None}
    for name in table.columns:
        if table[name].dtype.kind not in "fiu":
            raise InputError(
                f"{file}: column {str(name)[:40]} has {_no_number(table[name])}; "
                "besides id, class and split, every column is a sample of the series"
            )
    if table.shape[1] < 2:
        raise InputError(f"{file}: {table.shape[1]} columns of samples; a row is a series, a column a sample of it")
    if _is_one_spectrum(table):
        raise InputError(
            f"{file}: {len(table)} rows of {table.shape[1]} columns ({', '.join(map(str, table.columns))}): one "
            "spectrum in columns, where a row has to be a series; dataset=cig reads a folder of such files named "
            "CIG<number>_*.asc"
        )
    velocity = pd.to_numeric(table.columns.str.replace(",", "."), errors="coerce").to_numpy(dtype=float)
    words = table.columns[np.isnan(velocity)]
    if 0 < len(words) < table.shape[1]:
        raise InputError(
            f"{file}: columns named by numbers, which would be velocities, beside {listed(words)}; "
            "leave out what is no sample of the series"
        )
    steps = np.diff(velocity)
    if np.isfinite(velocity).all() and np.unique(np.sign(steps)).size != 1:
        raise InputError(
            f"{file}: its first line is neither names nor velocities in order; write a line of names first"
        )
    counted = velocity[0] in (0, 1) and (steps == 1).all()
    labels = _text(columns.get("labels"))
    if labels is not None:
        # A column with empty cells has been written as 1.0 and -1.0 by many a programme.
        labels = np.array([re.sub(r"^(-?[0-9]+)\.0*$", r"\1", label) for label in labels])
        labels = np.where(np.isin(labels, NO_LABEL), "", labels)
    return _Sample(
        series=table.to_numpy(dtype=float),
        labels=labels,
        velocity=velocity if np.isfinite(velocity).all() and not counted else None,
        ids=_text(columns.get("ids")),
        split=_text(columns.get("split")),
    )


def _no_number(column: pd.Series) -> str:
    """Return a cell that keeps a column from being numbers: text, or a number too long for them."""
    text = column.dropna().astype(str)
    odd = text[pd.to_numeric(text, errors="coerce").isna()]
    cell = odd.iloc[0] if len(odd) else max(text, key=len)
    return f"'{cell[:40]}', which is no number" if len(odd) else f"'{cell[:40]}', {len(cell)} digits"


def _is_one_spectrum(table: pd.DataFrame) -> bool:
    """Whether a table of few columns and many rows has an axis down one of them."""
    if table.shape[1] > 4 or len(table) < 16:
        return False
    steps = np.diff(table.to_numpy(dtype=float), axis=0)
    return bool((steps > 0).all(axis=0).any() or (steps < 0).all(axis=0).any())


def _text(column: pd.Series | None) -> np.ndarray | None:
    return None if column is None else column.fillna("").str.strip().to_numpy(dtype=str)


def _classes(labels: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Give each label a class: itself where all are whole numbers from 0 up, else its place in sorted order.

    Returns
    -------
    classes : ndarray of int, shape (N,)
        `UNKNOWN` for the label "".
    labels : ndarray of str, shape (N,)
        As given.
    """
    names = [name for name in np.unique(labels) if name != ""]
    if all(name.isascii() and name.isdecimal() for name in names):
        longest = max(names, key=len, default="")
        if len(longest) > 1 and len(longest.lstrip("0")) > MOST_DIGITS:
            raise InputError(
                f"dataset.path={path}: the class {longest[:40]} has {len(longest)} digits; "
                f"classes have {MOST_DIGITS} at most: use smaller numbers, or words"
            )
        number = {name: int(name) for name in names}
    else:
        number = {name: place for place, name in enumerate(sorted(names, key=_order))}
    return np.array([number.get(label, UNKNOWN) for label in labels]), labels


def _order(name: str) -> tuple[float, str]:
    """Numbers by their value, before text by the alphabet."""
    try:
        return float(name), name
    except ValueError:
        return np.inf, name


def _unique_ids(sample: _Sample, path: str) -> np.ndarray:
    if sample.ids is None:
        return np.array([str(number) for number in range(1, len(sample.series) + 1)])
    ids = np.char.strip(sample.ids.astype(str))
    names, counts = np.unique(ids, return_counts=True)
    if names[0] == "" or counts.max() > 1:
        twice = names[counts.argmax()]
        raise InputError(
            f"dataset.path={path}: the id '{twice}' is given to {counts.max()} series; give each its own"
            if counts.max() > 1
            else f"dataset.path={path}: a series has an empty id; give each its own"
        )
    return ids


def _ascending(sample: _Sample, path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return velocity and series, shape (N, L), in the order of the velocity, and so the noise where it is given."""
    series, rms = sample.series, sample.rms
    if sample.velocity is None:
        log.info("%s has no velocities: samples are counted, and fit=whole takes all of each series", path)
        return np.tile(np.arange(series.shape[1], dtype=float), (len(series), 1)), series, rms
    if sample.velocity.shape not in (series.shape, series.shape[1:]):
        raise InputError(
            f"dataset.path={path}: velocity has the shape {sample.velocity.shape}; "
            f"{series.shape[1:]} or {series.shape} fits the series"
        )
    velocity = np.broadcast_to(sample.velocity.astype(float), series.shape)
    order = np.argsort(velocity, axis=1)
    velocity = np.take_along_axis(velocity, order, axis=1)
    steps = np.diff(velocity, axis=1) if np.isfinite(velocity).all() else np.zeros(1)
    if not np.all(steps > 0):
        raise InputError(f"dataset.path={path}: velocity has missing values, or one twice; leave them out")
    doubtful = ~plausible(velocity[:, 0], velocity[:, -1], np.median(steps, axis=1))
    for row in np.flatnonzero(doubtful)[:1]:
        try:
            check_velocities(velocity[row])
        except InputError as error:
            raise InputError(
                f"dataset.path={path}: series {row + 1}: {error}; for series that are no spectra, leave velocity out "
                "(in .csv: name the columns by words)"
            ) from error
    if rms is not None and rms.shape == series.shape:
        rms = np.take_along_axis(rms, order, axis=1)
    return velocity, np.take_along_axis(series, order, axis=1), rms


def _noise(given: np.ndarray | None, flux: np.ndarray, valid: np.ndarray, path: str) -> np.ndarray:
    """Return the noise given, shape (N,) or (N, L), or an estimate of it, shape (N,)."""
    if given is not None:
        given = given.astype(float)
        if given.shape not in ((), (len(flux),), flux.shape) or not np.all((given > 0) & (given < LARGEST)):
            raise InputError(
                f"dataset.path={path}: rms has to be one positive number, {len(flux)} of them, or one a sample, and "
                "finite"
            )
        return given if given.ndim == 2 else np.broadcast_to(given, len(flux)).copy()
    rms = np.full(len(flux), np.nan)
    for row in np.flatnonzero(valid.any(axis=1)):
        values = flux[row, valid[row]]
        if np.ptp(values) > 0:
            # Most samples of a model without noise are alike: its scatter is all there is to measure against.
            rms[row] = noise_rms(flux[row], valid[row]) or values.std()
    return rms


def _held_out(split: np.ndarray | None, path: str) -> np.ndarray | None:
    if split is None:
        return None
    parts = np.char.lower(np.char.strip(split.astype(str)))
    unknown = [part for part in np.unique(parts) if part not in PARTS]
    if unknown:
        raise InputError(f"dataset.path={path}: split says '{unknown[0]}'; write 'train' or 'test' for each series")
    return parts == "test"
