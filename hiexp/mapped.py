"""Arrays with a row an object that are larger than memory should be: in files, mapped, and worked on part by part.

What of a mapped file is in memory the system can take back at any time; it counts for nobody.
"""

from __future__ import annotations

import os
import tempfile
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

import numpy as np

LARGE = 1 << 26  # bytes; what is smaller is kept in memory
PART = 1 << 15  # rows worked on at a time

_folder: ContextVar[Path | None] = ContextVar("folder of mapped arrays", default=None)


@contextmanager
def arrays_in(folder: Path) -> Iterator[None]:
    """Have the files of `empty_rows` made in a folder while the block runs, and not in that for temporary files.

    A result that is stored on the same disk need not be copied there.
    """
    before = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(before)


def arrays_folder() -> Path:
    """Return the folder for files that nobody needs once the process has ended."""
    return _folder.get() or Path(tempfile.gettempdir())


def empty_rows(shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """Return an array to be filled row by row: a large one is mapped from a file that goes with it.

    Where no disk has room for it, it is in memory.

    Parameters
    ----------
    shape : tuple of int
        Rows first.
    dtype : dtype
        Its data type.
    """
    if np.prod(shape, dtype=np.int64) * np.dtype(dtype).itemsize < LARGE:
        return np.empty(shape, dtype)
    for folder in dict.fromkeys([arrays_folder(), Path(tempfile.gettempdir())]):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            return _mapped(folder / f".rows-{uuid.uuid4().hex}.npy", shape, np.dtype(dtype))
    return np.empty(shape, dtype)


def _mapped(file: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    try:
        array = np.lib.format.open_memmap(file, "w+", dtype, shape)
        with file.open("r+b") as opened:  # without room for it now, writing to it would kill the process later
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    except OSError:
        file.unlink(missing_ok=True)
        raise
    weakref.finalize(array, file.unlink, missing_ok=True)
    return _shareable(array)


def _shareable(array: np.memmap) -> np.ndarray:
    array.shareable = True  # type: ignore[attr-defined]
    return np.asarray(array)


def save_rows(file: Path, rows: np.ndarray) -> None:
    """Write an array as ``.npy``.

    Rows that are all alike are written once. What is from `empty_rows` or `load_rows`, and on the same disk, is not
    copied: both have one file, which nobody writes to again.
    """
    if len(rows) > 1 and all_alike(rows):
        np.save(file, rows[:1])
        return
    mapped = rows.base
    if isinstance(mapped, np.memmap) and hasattr(mapped, "shareable") and _same(mapped, rows):
        mapped.flush()
        with suppress(OSError):
            os.link(str(mapped.filename), file)
            return
    np.save(file, rows)


def load_rows(file: Path, n_rows: int) -> np.ndarray:
    """Return what `save_rows` has written of so many rows, mapped; changed, it changes in memory alone."""
    rows = _shareable(np.load(file, mmap_mode="c"))
    return alike_rows(rows[0], n_rows) if len(rows) == 1 and n_rows > 1 else rows


def alike_rows(row: np.ndarray, n_rows: int) -> np.ndarray:
    """Return an array whose rows are all `row`; a large one has it once, and cannot be written to."""
    rows = np.broadcast_to(row, (n_rows, *row.shape))
    return rows if rows.size * rows.itemsize >= LARGE else rows.copy()


def all_alike(rows: np.ndarray) -> bool:
    """Tell whether all rows are the same to the bit."""
    if rows.strides[0] == 0:
        return True
    bits = f"V{rows.dtype.itemsize}" if rows.dtype.itemsize not in (1, 2, 4, 8) else f"u{rows.dtype.itemsize}"
    first = rows[:1].view(bits)
    return all(bool((part.view(bits) == first).all()) for part in parts_of(rows, 256))


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.ctypes.data == other.ctypes.data and one.shape == other.shape and one.strides == other.strides


def parts_of(rows: np.ndarray, size: int = PART) -> Iterator[np.ndarray]:
    """Yield an array in parts of so many rows."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def rows_taken(rows: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return ``rows[which]``, `which` a mask or row numbers: itself where that is all, mapped where it is large."""
    if which.dtype == bool:
        if which.all():
            return rows
        which = np.flatnonzero(which)
    taken = empty_rows((len(which), *rows.shape[1:]), rows.dtype)
    for start in range(0, len(which), PART):
        taken[start : start + PART] = rows[which[start : start + PART]]
    return taken


def in_parts(make: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return ``make(rows)``, computed part by part where there are many rows; a large result is mapped.

    Parameters
    ----------
    make : callable
        Makes a row of each row, from that row alone.
    rows : ndarray
        What of.
    """
    if len(rows) <= PART:
        return make(rows)
    made = None
    for start in range(0, len(rows), PART):
        part = np.asarray(make(rows[start : start + PART]))
        if made is None:
            made = empty_rows((len(rows), *part.shape[1:]), part.dtype)
        made[start : start + PART] = part
    assert made is not None, "there are rows"
    return made
