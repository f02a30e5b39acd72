"""Results of stages on disk, so that work shared by a sweep, or by runs of one folder, is done once.

An entry is a folder. Its name has a key made of whatever the result depends on: the stage's settings, its input,
number by number, and the code. What depends on nothing that has changed is found again; nothing has to be declared.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from omegaconf import Container, OmegaConf

from hiexp.configs import PACKAGE
from hiexp.kinds import Positive
from hiexp.locks import locked
from hiexp.mapped import arrays_folder, arrays_in, parts_of
from hiexp.writing import copy

log = logging.getLogger(__name__)

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "tslearn")  # numbers may differ between their versions
DAY = 86_400  # seconds
ROWS = 4096  # of an array that are read at a time
ENTRY = re.compile(r"\.?[a-z_]+-[0-9a-f]{16}(-\d+)?(\.partial)?(\.npz)?")  # a result, a training, a pack of spectra
WHOLE = "whole"  # in the folder of what is being made: the entry
SIZES_FILE = "sizes.json"  # written last: an entry without it, or of other sizes, is not whole


class Stored(Protocol):
    """A value that can be written to a folder and read again.

    One with a class attribute ``mapped`` is mapped from its files when it is read: whoever has made it gets it so,
    too, for it may be larger than memory should be.
    """

    def save(self, folder: Path) -> None:
        """Write it into an empty folder."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""


T = TypeVar("T", bound=Stored)


@dataclass(frozen=True)
class Files:
    """Files that several runs have in common.

    Attributes
    ----------
    folder : Path
        Where they are.
    names : tuple of str
        Their paths in it, and in the folder of a run.
    """

    mapped = True  # read from a cache
    folder: Path
    names: tuple[str, ...]

    @classmethod
    def written(cls, write: Callable[[Path], object]) -> Self:
        """Return what `write` leaves in an empty folder, which goes with the process."""
        arrays_folder().mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=arrays_folder()))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        write(folder)
        return cls.load(folder)

    def save(self, folder: Path) -> None:
        """Write them; copies, so that one that is edited in a run's folder stays as it was in all others."""
        for name in self.names:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            copy(self.folder / name, file)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(folder, tuple(_sizes(folder)))


@dataclass(frozen=True)
class NoCache:
    """Compute everything again.

    Parameters
    ----------
    folder : None
        There is none.
    """

    folder: None = None

    def entry(self, stage: str, given: tuple[object, ...]) -> Path:
        """Return where a result would be kept: nowhere."""
        return Path(os.devnull)

    def recall(self, stage: str, kind: type[T], given: tuple[object, ...], make: Callable[[], T]) -> T:
        """Return ``make()``."""
        return make()


@dataclass(frozen=True)
class DiskCache:
    """Keep results in a folder.

    Parameters
    ----------
    folder : str
        May be deleted at any time.
    keep_days : float
        Days after its last use that a result is kept; whoever writes one removes, once a day, those that are older.
    """

    folder: str
    keep_days: Positive = 30.0
    _told: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def recall(self, stage: str, kind: type[T], given: tuple[object, ...], make: Callable[[], T]) -> T:
        """Return the result of a stage, computed by `make` unless it is known.

        Of several processes that want the same result one computes it and the others wait. An entry that is
        damaged is made again; one that cannot be written only causes a warning.

        Parameters
        ----------
        stage : str
            Name of the stage, for the entry's name.
        kind : type
            Type of the result.
        given : tuple
            All that the result depends on, as `fingerprint` takes it.
        make : callable
            Computes the result.
        """
        entry = self.entry(stage, given)
        name = entry.name
        with suppress(Exception):  # nobody need wait for another to read; what is damaged is looked at in turn
            return self._read(entry, kind)
        with ExitStack() as stack, ExitStack() as remains:
            try:
                stack.enter_context(locked(entry.with_name(f".{name}.lock")))
            except OSError as error:
                log.warning("Nothing can be kept in %s (%s); cache=off goes without", self.folder, error)
                return make()
            if entry.is_dir():
                try:
                    return self._read(entry, kind)
                except Exception as error:  # any reader error
                    log.warning("%s is damaged (%s) and made again", entry, error)
                    shutil.rmtree(entry)
            partial = entry.with_name(f".{name}.partial")  # given up to the next process if this one is killed
            shutil.rmtree(partial, ignore_errors=True)
            made = entry.with_name(f".{name}-{os.getpid()}.partial")
            remains.callback(shutil.rmtree, made, ignore_errors=True)  # what is stored of it has a name of its own
            try:
                with arrays_in(made):
                    result = make()
                try:
                    _write(entry, partial, result)
                except Exception as error:  # a full disk, or a library's estimator that cannot be stored
                    log.warning("The result of stage %s could not be kept in %s: %s", stage, self.folder, error)
                    # Files that it is made of are still to be read.
                    atexit.register(remains.pop_all().close)
                    return result
                with suppress(OSError):
                    remove_unused(Path(self.folder), self.keep_days)
                if not getattr(kind, "mapped", False):
                    return result
                del result  # before what is stored of it is mapped in its stead
                return kind.load(entry)
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def entry(self, stage: str, given: tuple[object, ...]) -> Path:
        """Return where a result is kept, or would be."""
        return Path(self.folder) / f"{stage}-{fingerprint(*given)}"

    def forget(self, stage: str, given: tuple[object, ...]) -> None:
        """Remove a result that nobody will ask for again."""
        shutil.rmtree(self.entry(stage, given), ignore_errors=True)

    def _read(self, entry: Path, kind: type[T]) -> T:
        sizes = json.loads((entry / SIZES_FILE).read_text())
        if sizes != _sizes(entry):
            raise ValueError("its files are not as long as they were")
        stage = entry.name.rpartition("-")[0]
        if stage not in self._told:  # once, however many folds ask
            self._told.add(stage)
            log.info("Loaded from cache: %s", entry.name)
        with suppress(OSError):
            os.utime(entry)  # it is in use
        return kind.load(entry)


def remove_unused(folder: Path, keep_days: float) -> None:
    """Remove, once a day, what a cache has not used for so many days and what killed processes have left."""
    marker = folder / ".tidied"
    if marker.exists() and time.time() - marker.stat().st_mtime < DAY:
        return
    marker.touch()
    for entry in folder.iterdir():
        unused = time.time() - entry.stat().st_mtime
        if ENTRY.fullmatch(entry.name) and unused > (DAY if "partial" in entry.name else keep_days * DAY):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _write(entry: Path, partial: Path, result: Stored) -> None:
    """Write under a temporary name and rename."""
    whole = partial / WHOLE
    whole.mkdir(parents=True)
    result.save(whole)
    (whole / SIZES_FILE).write_text(json.dumps(_sizes(whole)))
    whole.rename(entry)


def _sizes(folder: Path) -> dict[str, int]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != SIZES_FILE)
    return {str(file.relative_to(folder)): file.stat().st_size for file in files}


def fingerprint(*given: object) -> str:
    """Return 16 hexadecimal digits that depend on all of `given`, and on the code.

    Parameters
    ----------
    *given
        Arrays, tables, and settings: a configuration (resolved here), a mapping, a sequence, a string, a number or
        None. The modules that the settings name are counted in, so that a changed function of the user's is not taken
        for the old one; what it imports in turn is not.
    """
    digest = hashlib.sha256(_code().encode())
    for value in given:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            for part in parts_of(np.atleast_1d(value), ROWS):
                digest.update(np.ascontiguousarray(part).view(np.uint8).data)
        elif isinstance(value, pd.DataFrame):
            digest.update(repr([value.index.name, *value.dtypes.items()]).encode())
            digest.update(pd.util.hash_pandas_object(value).to_numpy())
        else:
            settings = OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value
            digest.update(json.dumps(settings, sort_keys=True).encode())
            for source in sorted({file for name in _strings(settings) if (file := _source(name))}):
                digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _code() -> str:
    """Return what stands for this package's code and the libraries below it."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(file.read_bytes())
    return " ".join([digest.hexdigest(), *(version(name) for name in LIBRARIES)])


def _strings(settings: object) -> Iterator[str]:
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, Mapping):
        for value in settings.values():
            yield from _strings(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _strings(value)


def _source(name: str) -> Path | None:
    """Return the file of the module that a dotted name begins with, if there is one."""
    module, _, attribute = name.rpartition(".")
    if not module or not all(part.isidentifier() for part in (*module.split("."), attribute)):
        return None
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # whatever a module of that name does when it is imported
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
