"""A folder of spectra of the public Arecibo archives (ALFALFA, APPSS) and their catalogue."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from hiexp.datasets.arecibo import HEADER_KEYS, ArchiveSpectrum, read_spectrum
from hiexp.datasets.catalogue import read_agc_catalogue, within, without_value
from hiexp.datasets.files import is_folder
from hiexp.datasets.stacking import Channels, stack
from hiexp.datasets.tables import shown
from hiexp.errors import InputError
from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

PACK_FORMAT = "3"
# What a pack has: kinds of numbers and shapes, N spectra of L channels, K and U entries.
PACK_ARRAYS = {
    "ids": ("U", "N"),
    "velocity": ("f8", "NL"),
    "flux": ("f4", "NL"),
    "valid": ("b1", "NL"),
    "rms": ("f8", "N"),
    "header": ("f8", "NH"),
    "skipped_names": ("U", "K"),
    "skipped_reasons": ("U", "K"),
    "unread_names": ("U", "U"),
    "unread_reasons": ("U", "U"),
}
FILES_A_TASK = 64
LONGEST_REASON = 300  # characters


def read_alfalfa(
    path: str,
    catalogue: str | None = None,
    where: Mapping[str, Sequence[float | None] | None] | None = None,
    cache: str | None = None,
) -> Spectra:
    """Read a folder of ``A######.fits`` (Haynes et al. 2018, ApJ 861, 49; VizieR J/ApJ/861/49/sp).

    Parameters
    ----------
    path : str
        The folder. A file that cannot be used is skipped and listed in `Spectra.skipped`.
    catalogue : str, optional
        A catalogue in any form that `read_agc_catalogue` knows, joined by AGC number.
    where : mapping, optional
        Ranges of catalogue columns (or of Vhel, RAJ2000, DEJ2000 of the headers without a catalogue), as
        `within` takes them; spectra outside are left out, and listed in `Spectra.skipped` where they have no value.
    cache : str, optional
        Folder that keeps the spectra packed in one file, so that the folder is read once as long as none of its
        files changes.

    Returns
    -------
    Spectra
        In the order of the AGC numbers, without reference classes. Shorter spectra are padded at their end with
        channels that are not valid. `systemic` is the catalogue's Vhel, else the header's V21SYS. Numbers that a
        header writes as text, or that no galaxy has, are missing, and listed in `unmatched`.

    Raises
    ------
    InputError
        If the folder is missing, holds no such file or none that can be used, the catalogue cannot be read, or
        no spectrum is within the ranges.
    """
    files = _spectrum_files(path)
    packed = _packed(files, Path(cache)) if cache else _pack(files)
    if not len(packed["ids"]):
        raise InputError(
            f"dataset.path={path}: none of its {len(files)} files can be used; "
            f"the first, {packed['skipped_names'][0]}: {packed['skipped_reasons'][0]}"
        )
    ids = packed["ids"]
    header = pd.DataFrame(packed["header"], columns=list(HEADER_KEYS.values()), index=pd.Index(ids, name="id"))
    table, unmatched = _joined(header, catalogue)
    unread = pd.DataFrame({"name": packed["unread_names"], "reason": packed["unread_reasons"]})
    spectra = Spectra(
        ids=ids,
        **{name: packed[name] for name in Channels._fields},  # type: ignore[arg-type]
        catalogue=table,
        systemic=table["Vhel"].to_numpy(dtype=float),
        skipped=pd.DataFrame({"name": packed["skipped_names"], "reason": packed["skipped_reasons"]}),
        unmatched=pd.concat([unmatched, unread], ignore_index=True),
    )
    chosen = within(table, where or {})
    if not chosen.any():
        limits = {column: list(range_) for column, range_ in (where or {}).items() if range_ is not None}
        n_unknown = len(without_value(table, limits))
        raise InputError(
            f"no spectrum of dataset.path={path} is within dataset.where={limits}: {n_unknown} of {len(table)} "
            "have no value there, the others lie outside; widen it"
        )
    if chosen.all():
        return spectra
    unknown = without_value(table, where or {})
    log.info("dataset.where keeps %d of %d spectra; %d have no value", chosen.sum(), len(table), len(unknown))
    return replace(spectra.take(chosen), skipped=pd.concat([spectra.skipped, unknown], ignore_index=True))


def _spectrum_files(path: str) -> list[Path]:
    folder = Path(path)
    if not is_folder(folder, "dataset.path"):
        raise InputError(f"dataset.path={path}: no such folder; give the folder that holds the A######.fits files")
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise InputError(f"dataset.path={path} cannot be read: {error.strerror}") from error
    files = sorted(Path(entry) for entry in entries if re.fullmatch(r"A[0-9]+\.fits(\.gz)?", entry.name))
    if not files:
        raise InputError(f"dataset.path={path}: no A######.fits in this folder; give the folder that holds them")
    return files


def _joined(header: pd.DataFrame, catalogue: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the catalogue's row of each spectrum, the header's numbers where it has none, and what has no match."""
    if catalogue is None:
        return header, pd.DataFrame(columns=["name", "reason"])
    rows, repeated = read_agc_catalogue(catalogue)
    lonely = {
        "a spectrum without a catalogue row": sorted(set(header.index) - set(rows.index)),
        "a catalogue row without a spectrum": sorted(set(rows.index) - set(header.index)),
        "more than one catalogue row; the first is used": repeated,
    }
    unmatched = pd.DataFrame(
        [(name, why) for why, names in lonely.items() for name in names], columns=["name", "reason"]
    )
    columns = [*rows, *(name for name in header if name not in rows)]
    return rows.reindex(header.index).combine_first(header)[columns], unmatched


def _packed(files: list[Path], cache: Path) -> dict[str, np.ndarray]:
    """Return the packed folder, made anew where a file has changed or the pack is damaged."""
    key = hashlib.sha256(repr((PACK_FORMAT, [_state(file) for file in files])).encode()).hexdigest()[:16]
    pack = cache / f"spectra-{key}.npz"
    try:
        return _unpacked(pack)
    except FileNotFoundError:
        pass
    except Exception as error:  # zipfile and NumPy raise a dozen kinds on damaged files
        log.warning("%s is damaged (%s) and made again", pack, error)
    packed = _pack(files)
    partial = pack.with_name(f"{pack.stem}-{os.getpid()}.partial.npz")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(partial, allow_pickle=False, **packed)
        partial.replace(pack)
    except OSError as error:
        log.warning("The spectra could not be kept in %s (%s); dataset.cache=null goes without", cache, error)
        with suppress(OSError):
            partial.unlink()
    return packed


def _state(file: Path) -> tuple[str, int, int]:
    """Return the name of a file with what changes when its content does."""
    try:
        status = file.stat()
    except OSError:  # a link to nowhere, or to itself
        return file.name, -1, -1
    return file.name, status.st_size, status.st_mtime_ns


def _unpacked(pack: Path) -> dict[str, np.ndarray]:
    """Read a pack whose every byte and shape is right.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    Exception
        If it is damaged.
    """
    arrays = {}
    with suppress(PermissionError):
        os.utime(pack)  # it is in use
    with zipfile.ZipFile(pack) as archive:
        for name in PACK_ARRAYS:
            with archive.open(f"{name}.npy") as member:
                arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
                if member.read(1):  # the checksum is compared at the end of a member, not before
                    raise ValueError(f"{name} is longer than its header says")
    n, length = arrays["flux"].shape
    sizes = {"N": n, "L": length, "H": len(HEADER_KEYS)}
    sizes |= {"K": arrays["skipped_names"].size, "U": arrays["unread_names"].size}
    for name, (kind, shape) in PACK_ARRAYS.items():
        array = arrays[name]
        if kind not in (array.dtype.kind, array.dtype.str[1:]) or array.shape != tuple(sizes[size] for size in shape):
            raise ValueError(f"{name} has the type {array.dtype} and the shape {array.shape}")
    return arrays


def _pack(files: list[Path]) -> dict[str, np.ndarray]:
    """Read the files, in parallel where they are many, into arrays of one shape."""
    tasks = [files[start : start + FILES_A_TASK] for start in range(0, len(files), FILES_A_TASK)]
    workers = Parallel(n_jobs=-1 if len(tasks) > 4 else 1, return_as="generator")
    read: dict[str, ArchiveSpectrum] = {}
    skipped: list[tuple[str, str]] = []
    with tqdm(total=len(files), desc="reading spectra", unit="file", delay=1, leave=False) as bar:
        for task, results in zip(tasks, workers(delayed(_read_some)(task) for task in tasks), strict=True):
            for file, result in zip(task, results, strict=True):
                name = file.name.partition(".")[0].removeprefix("A").lstrip("0").zfill(6)
                if isinstance(result, str):
                    skipped.append((file.name, result))
                elif name in read:
                    skipped.append((file.name, f"a second spectrum of AGC {name}; the first is used"))
                else:
                    read[name] = result
            bar.update(len(task))
    ids = sorted(read)
    header = [read[name].header for name in ids]
    unread = [(name, f"{key} in its header is no number of a galaxy") for name in ids for key in read[name].unread]
    shape = len(ids), max((one.channels.flux.size for one in read.values()), default=0)
    # Each spectrum is let go when it is stacked: 31,502 of them twice would be near a gigabyte.
    columns = stack((read.pop(name).channels for name in ids), shape, np.float32)
    return columns._asdict() | {
        "ids": np.array(ids, dtype=str),
        "header": np.array(header, dtype=float).reshape(len(ids), len(HEADER_KEYS)),
        "skipped_names": np.array([name for name, _ in skipped], dtype=str),
        "skipped_reasons": np.array([reason for _, reason in skipped], dtype=str),
        "unread_names": np.array([name for name, _ in unread], dtype=str),
        "unread_reasons": np.array([reason for _, reason in unread], dtype=str),
    }


def _read_some(files: list[Path]) -> list[ArchiveSpectrum | str]:
    """Return each file's spectrum, or why it has none."""
    results: list[ArchiveSpectrum | str] = []
    for file in files:
        try:
            results.append(read_spectrum(file))
        except InputError as error:
            results.append(shown(error, LONGEST_REASON))
        except Exception as error:  # whatever one file of thousands does, the others are read
            results.append(shown(f"cannot be used ({type(error).__name__}: {error})", LONGEST_REASON))
    return results
