"""Spectra of any telescope in whatever files they are kept."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from hiexp.datasets.files import is_folder
from hiexp.datasets.layouts.by_specutils import spectra_by_specutils
from hiexp.datasets.layouts.files import spectra_in_file
from hiexp.datasets.layouts.identity import file_name, known_of, name_of
from hiexp.datasets.layouts.physical import common_frame, to_channels
from hiexp.datasets.layouts.spectrum import Given
from hiexp.datasets.stacking import Spool, stack
from hiexp.datasets.survey_catalogue import join_catalogue
from hiexp.datasets.tables import shown
from hiexp.errors import InputError
from hiexp.kinds import Positive
from hiexp.printable import natural_order
from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

COLUMNS = ("velocity", "flux", "weight", "flag", "id")
UNITS = ("velocity", "flux")
LONGEST_REASON = 300  # characters
REASONS = 10  # beside the first, that are shown where no file can be read


class _Spectrum(NamedTuple):
    name: str
    file: str
    known: dict[str, float]


class _Read(NamedTuple):
    """What the files gave: spectra and their channels, what was skipped, layouts, remarks by file, frames."""

    spectra: list[_Spectrum]
    channels: Spool
    skipped: list[dict[str, str]]
    layouts: dict[str, list[tuple[str, int]]]
    remarks: dict[str, list[str]]
    used: set[str]
    frames: set[str]


def read_spectra(
    path: str,
    columns: Mapping[str, str | int | None] | None = None,
    units: Mapping[str, str | None] | None = None,
    convention: Literal["optical", "radio"] | None = None,
    gain: Positive | None = None,
    beam_pixels: Positive | None = None,
    id: str | None = None,
    specutils_format: str | None = None,
    catalogue: str | None = None,
    catalogue_id: str | None = None,
    catalogue_columns: Mapping[str, str | None] | None = None,
    match_radius: str | None = None,
) -> Spectra:
    r"""Read spectra from text, ECSV, VOTable, FITS tables, SDFITS and FITS images, gzipped or not.

    Columns are found by name or unit, units and conventions in the files; the screen says, once a layout, how it was
    understood. What nothing tells is asked for, never assumed.

    Parameters
    ----------
    path : str
        A file, a folder, or a pattern such as ``data/*_hi.txt`` (``**`` for folders below).
    columns : mapping, optional
        Name, or number from 1, of the column ``velocity`` (or of frequencies or wavelengths), ``flux``, ``weight``
        (0: do not use), ``flag`` (0: use), and ``id``, of the objects where a table has many.
    units : mapping, optional
        Unit of ``velocity`` and of ``flux``, which goes before what a file says.
    convention : {"optical", "radio"}, optional
        Definition of the velocities; frequencies need none. Evenly spaced frequencies tell optical velocities, too.
    gain : float, optional
        K/Jy, for antenna temperatures.
    beam_pixels : float, optional
        Pixels a beam, for sums over the pixels of a cube in Jy/beam.
    id : str, optional
        Regular expression whose first group, found in the name of a file, is the object's name; else it is the
        ``OBJECT`` of the file, or its name without the ending.
    specutils_format : str, optional
        Have specutils read the files: one of its formats, or ``auto``.
    catalogue : str, optional
        Any survey's table of the objects: text, ECSV, VOTable or FITS.
    catalogue_id : str, optional
        Column of it with the names of the spectra; by default one called id, name, object, source or galaxy.
    catalogue_columns : mapping, optional
        Column of it for each name that other stages know (``Vhel``, ``W50``, ``HIflux``, ``Dist``...).
    match_radius : str, optional
        Join by position on the sky, not by name, within an angle such as ``10arcsec``.

    Returns
    -------
    Spectra
        In the order of the files' names, velocities as optical cz = c (f0 / f - 1) in the frame of the file, flux in
        mJy. The catalogue has the file and, where it says so, ``RAJ2000`` and ``DEJ2000`` (degrees) and ``Vhel``. Of
        many files those that cannot be used are in `Spectra.skipped`.

    Raises
    ------
    InputError
        If there is no such file, a single one or all of many cannot be used, two spectra have one name, or a setting
        is none or of no use.
    """
    given = Given(
        columns=_chosen(columns, "columns", COLUMNS),
        units={key: str(value) for key, value in _chosen(units, "units", UNITS).items()},
        convention=convention,
        gain=gain,
        beam_pixels=beam_pixels,
        specutils_format=specutils_format,
    )
    _check(given)
    if given.columns and specutils_format is not None:
        raise InputError("dataset.columns is not used where specutils reads the files; leave one of them out")
    pattern = _pattern(id)
    files, single = _files(path)
    read = _read(files, given, pattern)
    if not read.spectra:
        first = read.skipped[0]
        if single:
            raise InputError(f"dataset.path={path}: {first['reason']}")
        others = {one["reason"]: one["name"] for one in reversed(read.skipped) if one["reason"] != first["reason"]}
        for reason, name in list(others.items())[-REASONS:]:
            log.warning("%s: %s", name, reason)
        raise InputError(
            f"dataset.path={path}: none of its {len(files)} files can be used; "
            f"the first, {first['name']}: {first['reason']}"
        )
    for setting in ("gain", "beam_pixels"):
        if getattr(given, setting) is not None and setting not in read.used:
            wanted = "K" if setting == "gain" else "Jy/beam"
            raise InputError(f"dataset.{setting} is not used: no flux in {path} is in {wanted}; leave it out")
    _say(read)
    ids = _unique([(one.name, one.file) for one in read.spectra])
    table = pd.DataFrame([one.known for one in read.spectra], index=pd.Index(ids, name="id"))
    systemic = table["Vhel"].to_numpy(dtype=float)
    table = table.dropna(axis="columns", how="all")
    table["file"] = [one.file for one in read.spectra]
    spectra = Spectra(
        ids=ids,
        **stack(read.channels, (len(ids), read.channels.longest))._asdict(),
        catalogue=table,
        systemic=systemic,
        skipped=pd.DataFrame(read.skipped, columns=["name", "reason"]),
        frame=common_frame(read.frames),
    )
    return join_catalogue(spectra, catalogue, catalogue_id, catalogue_columns, match_radius)


def _chosen(
    values: Mapping[str, str | int | None] | None, setting: str, known: tuple[str, ...]
) -> dict[str, str | int]:
    """Return the entries that are given.

    Raises
    ------
    InputError
        If one is of no use.
    """
    for key in values or {}:
        if key not in known:
            raise InputError(f"dataset.{setting}.{shown(key)}: choose of {', '.join(known)}")
    return {key: value for key, value in (values or {}).items() if value is not None}


def _check(given: Given) -> None:
    if given.convention not in (None, "optical", "radio"):
        raise InputError(f"dataset.convention={given.convention}: choose optical or radio")
    for setting in ("gain", "beam_pixels"):
        value = getattr(given, setting)
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"dataset.{setting}={value}: give a number above 0")


def _pattern(id: str | None) -> re.Pattern[str] | None:
    if id is None:
        return None
    try:
        pattern = re.compile(id)
    except re.error as error:
        raise InputError(f"dataset.id={id}: no regular expression ({error})") from error
    if not pattern.groups:
        raise InputError(
            f"dataset.id={id}: put the part that is the object's name in brackets, as in 'NGC([0-9]+)_hi'"
        )
    return pattern


def _files(path: str) -> tuple[list[Path], bool]:
    """Return the files that a path means, and whether it names a single one."""
    place = Path(path)
    if is_folder(place, "dataset.path"):
        try:
            files = [file for file in place.iterdir() if file.is_file() and not file.name.startswith(".")]
        except OSError as error:
            raise InputError(f"dataset.path={path} cannot be read: {error.strerror}") from error
        if not files:
            raise InputError(f"dataset.path={path}: no files in this folder")
    elif place.exists() or not glob.has_magic(path):
        return [place], True
    else:
        # Path.glob takes no absolute pattern.
        files = [file for file in map(Path, glob.glob(path, recursive=True)) if file.is_file()]  # noqa: PTH207
        if not files:
            raise InputError(f"dataset.path={path}: no file has such a name")
    return sorted(files, key=lambda file: natural_order(str(file))), False


def _read(files: list[Path], given: Given, pattern: re.Pattern[str] | None) -> _Read:
    read = _Read([], Spool(), [], {}, {}, set(), set())
    for file in tqdm(files, desc="reading spectra", unit="file", delay=1, leave=False):
        try:
            with np.errstate(all="ignore"):  # what is wild is refused in words
                _read_file(file, given, pattern, read)
        except InputError as error:
            reason = shown(error, LONGEST_REASON)
        except Exception as error:  # whatever one file of thousands does, the others are read
            reason = shown(f"cannot be used ({type(error).__name__}: {error})", LONGEST_REASON)
        else:
            continue
        read.skipped.append({"name": file_name(file), "reason": reason})
    return read


def _read_file(file: Path, given: Given, pattern: re.Pattern[str] | None, read: _Read) -> None:
    """Add what a file gives, one bad spectrum of many skipped."""
    form, in_words = given.specutils_format, file_name(file)
    for raw in spectra_in_file(file, given) if form is None else spectra_by_specutils(file, form):
        name = name_of(file, raw.facts, pattern)
        try:
            understood = to_channels(raw, given)
        except InputError as error:
            of = "" if name in in_words else f"{name}: "
            read.skipped.append({"name": in_words, "reason": shown(f"{of}{error}", LONGEST_REASON)})
            continue
        read.channels.add(understood.channels)
        read.spectra.append(_Spectrum(name, in_words, known_of(raw.facts)))
        read.layouts.setdefault(understood.description, []).append((in_words, raw.flux.size))
        read.used.update(understood.used)
        read.frames.add(understood.frame)
        for remark in understood.remarks:
            read.remarks.setdefault(remark, []).append(in_words)


def _unique(named: list[tuple[str, str]]) -> np.ndarray:
    """Return the names, shape (N,)."""
    origin: dict[str, str] = {}
    for name, file in named:
        if name in origin:
            if origin[name] == file:
                where, remedy = f"both in {file}", "by another column: dataset.columns.id=COLUMN"
            else:
                where, remedy = f"in {origin[name]} and {file}", "by their files: dataset.id='(.*)[.]'"
            raise InputError(
                f"two spectra are called '{shown(name)}', {where}; leave one of them, or name them {remedy}"
            )
        origin[name] = file
    return np.array(list(origin), dtype=str)


def _say(read: _Read) -> None:
    """Say how the files were understood, once a layout, and what was remarkable, once a remark."""
    for description, seen in read.layouts.items():
        sizes = sorted({size for _, size in seen})
        channels = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        log.info("%s: %s; %s channels", _named([name for name, _ in seen]), description, channels)
    for remark, names in read.remarks.items():
        log.warning("%s: %s", _named(names), remark)


def _named(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} spectra, as {names[0]}"
