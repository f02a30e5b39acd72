"""Text spectra of isolated galaxies (CIG numbers) and their asymmetry classes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from hiexp.datasets.cleaning import clean
from hiexp.datasets.selection import select_classes
from hiexp.datasets.stacking import Channels, stack
from hiexp.datasets.tables import NO_NUMBER, column_named, columns_named, listed, read_lines, read_table, shown
from hiexp.errors import InputError
from hiexp.fitting.widths import asymmetry_class
from hiexp.spectra import UNKNOWN, Spectra

log = logging.getLogger(__name__)

MJY = {"mJy": 1.0, "Jy": 1000.0}
MISSING = {"", "-", "--", "nan", "null", "none", "indef", "inf", "-inf"}
LIGHT_SPEED = 299_792.458  # km/s
NARROWEST_BAND = 50.0  # km/s: a galaxy's line with something beside it


def read_cig(
    path: str,
    classes_file: str | None = None,
    classes: Sequence[int] | None = None,
    balance: bool = False,
    seed: int = 1,
    flux_unit: str = "mJy",
    channel_width: float | None = None,
) -> Spectra:
    """Read a folder of ``CIG<number>_*.asc`` and, where there is one, the table of their classes.

    Each file has two columns, separated by blanks, commas or semicolons: velocity (km/s, in any order) and flux
    density. Lines that begin with ``#``, ``;`` or ``!`` and text above the numbers are passed over; channels
    without flux (NaN, or nothing) are masked, rows of one velocity averaged, channels left out put in masked. A
    first column that counts 0, 1, 2, ... or 1, 2, 3, ... is taken for channel numbers. A file that cannot be
    used is skipped and listed in `Spectra.skipped`.

    Parameters
    ----------
    path : str
        The folder.
    classes_file : str, optional
        A table with a column ``cig`` and a column ``Class`` (whole numbers: 0 symmetric, 1 slightly, 2 strongly
        asymmetric) or, where there is none, ``Aflux``, divided at 1.26 and 1.39; in any form that
        `hiexp.datasets.tables.read_table` knows, such as VizieR J/A+A/532/A117 (Espada et al. 2011).
    classes : sequence of int, optional
        Classes kept, for example 0 and 2; all where None.
    balance : bool
        Keep an equal number of each class.
    seed : int
        Of that draw.
    flux_unit : {"mJy", "Jy"}
        Of the second column.
    channel_width : float, optional
        km/s a channel, for files with channel numbers; negative where velocity falls as they rise.

    Returns
    -------
    Spectra
        In the order of the CIG numbers, with the class table's columns in the catalogue. Without a
        `classes_file` there are no reference classes. Objects with a class and no spectrum are in `skipped`.

    Raises
    ------
    InputError
        If the folder holds no spectrum that can be used, a file has channel numbers and there is no
        `channel_width`, or the class table does not fit.
    """
    if flux_unit not in MJY:
        raise InputError(f"dataset.flux_unit={flux_unit}: choose one of {', '.join(MJY)}")
    if channel_width == 0:
        raise InputError("dataset.channel_width=0: give the km/s from one channel to the next")
    read, skipped = _read_folder(path, MJY[flux_unit], channel_width)
    ids = np.array([str(number) for number in read])
    reference, catalogue = None, pd.DataFrame(index=pd.Index(ids, name="id"))
    if classes_file is not None:
        table = _read_classes(Path(classes_file))
        without = table.index.difference(read)
        if len(without) == len(table):
            raise InputError(
                f"dataset.classes_file={classes_file}: none of its {len(table)} CIG numbers has a spectrum in "
                f"{path}; the first in the table is {table.index[0]}, the first spectrum {ids[0]}"
            )
        told = {int(re.match(r"\D*(\d+)", row["name"])[1]) for row in skipped}
        reason = f"has a row in {Path(classes_file).name} and no spectrum"
        skipped += [{"name": f"CIG {number}", "reason": reason} for number in without if number not in told]
        table = table.reindex(list(read))
        reference = table.pop("_class").fillna(UNKNOWN).to_numpy(dtype=int)
        catalogue = table.set_index(catalogue.index)
    spectra = Spectra(
        ids=ids,
        **stack(read.values(), (len(read), max(one.velocity.size for one in read.values())))._asdict(),
        catalogue=catalogue,
        systemic=np.full(len(ids), np.nan),
        reference=reference,
        skipped=pd.DataFrame(skipped, columns=["name", "reason"]),
    )
    return select_classes(spectra, classes, balance, seed)


def _read_folder(
    path: str, to_mjy: float, channel_width: float | None
) -> tuple[dict[int, Channels], list[dict[str, str]]]:
    """Read every spectrum of a folder: by CIG number, ascending, and what could not be read."""
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(
            f"dataset.path={path}: no such folder; give the folder that holds the CIG<number>_*.asc files"
        )
    named = [(re.fullmatch(r"CIG0*(\d+)(_.*)?\.asc", f.name, re.IGNORECASE), f) for f in folder.iterdir()]
    files = sorted((int(match[1]), file) for match, file in named if match)
    if not files:
        raise InputError(f"dataset.path={path}: no CIG<number>_*.asc in this folder; give the folder that holds them")
    read: dict[int, Channels] = {}
    origin: dict[int, str] = {}
    skipped = []
    for number, file in tqdm(files, desc="reading spectra", unit="file", delay=1, leave=False):
        try:
            if number in read:
                raise InputError(
                    f"a second spectrum of CIG {number}: {origin[number]} was taken; leave one of them in the folder"
                )
            axis, flux = _read_columns(file)
            if _counts_channels(axis):
                axis = _velocity_of(axis, channel_width, file)
            read[number], origin[number] = _clean(axis, flux * to_mjy), file.name
        except _SettingError:
            raise
        except InputError as error:
            skipped.append({"name": file.name, "reason": str(error).removeprefix(f"{file} ")})
    if not read:
        raise InputError(
            f"dataset.path={path}: none of its {len(files)} files can be used; "
            f"the first, {skipped[0]['name']}: {skipped[0]['reason']}"
        )
    return read, skipped


class _SettingError(InputError):
    """A setting is missing: the next file would fail like this one."""


def _velocity_of(channel: np.ndarray, channel_width: float | None, file: Path) -> np.ndarray:
    if channel_width is None:
        raise _SettingError(
            f"{file}: its first column counts channels, {channel.min():g} to {channel.max():g}; "
            "give their width in km/s as dataset.channel_width=..."
        )
    return channel * channel_width


def _counts_channels(axis: np.ndarray) -> bool:
    """Whether the numbers are 0, 1, 2, ... or 1, 2, 3, ... in any order, a few of them left out."""
    values = np.unique(axis)
    whole = values.size > 1 and values[0] in (0, 1) and bool(np.all(values == np.round(values)))
    return whole and np.median(np.diff(values)) == 1


def _read_columns(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the two columns, shape (M,) each: rows without a velocity left out, flux NaN where it is missing."""
    rows = []
    for number, line in enumerate(read_lines(file), 1):
        line = re.split("[#!]", line)[0].strip()
        if not line or line.startswith(";"):
            continue
        cells = re.split(r"\s*[,;]\s*|\s+", line)
        if not rows and not _is_number(cells[0]):  # a line of text above the numbers
            continue
        rows.append((number, cells))
    if not rows:
        raise InputError("no line with numbers; two columns are needed, velocity and flux")
    n_columns = max(sum(cell != "" for cell in cells) for _, cells in rows)
    if n_columns != 2:
        raise InputError(f"{n_columns} column{'s' * (n_columns > 1)}; exactly two are read, velocity and flux")
    values = np.array([[_number(cell, number) for cell in [*cells, ""][:2]] for number, cells in rows])
    values = values[np.isfinite(values[:, 0])]
    return values[:, 0], values[:, 1]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, line: int) -> float:
    if cell.lower() in MISSING:
        return np.nan
    if not _is_number(cell):
        raise InputError(f"line {line}: '{cell}' is no number")
    return float(cell)


def _clean(velocity: np.ndarray, flux: np.ndarray) -> Channels:
    """Bring one spectrum into order: ascending, one row a velocity, no gaps, masked where it cannot be trusted."""
    given = np.isfinite(flux)
    velocity, place = np.unique(velocity, return_inverse=True)
    count = np.bincount(place, given, minlength=velocity.size)
    total = np.bincount(place, np.where(given, flux, 0.0), minlength=velocity.size)
    known = count > 0
    flux = np.divide(total, count, out=np.zeros(velocity.size), where=known)
    if np.abs(velocity).max() > LIGHT_SPEED or np.ptp(velocity) < NARROWEST_BAND:
        raise InputError(
            f"its first column goes from {velocity[0]:g} to {velocity[-1]:g}: no velocities in km/s of a galaxy; "
            "convert frequencies or m/s to km/s"
        )
    return clean(velocity, flux, known)


def _read_classes(file: Path) -> pd.DataFrame:
    """Return the class table indexed by CIG number, with the class as ``_class``, NaN where there is none."""
    setting = f"dataset.classes_file={file}"
    with suppress(OSError):  # a name too long, or a folder that is closed: reading says so
        if not file.exists():
            raise InputError(f"{setting}: no such file; give a table with the columns cig and Class")
    table = read_table(file, text_columns=("cig", "class"))
    asymmetry = [column for column in table.columns if re.sub("[^a-z]", "", column.lower()).startswith("aflux")]
    for names in (columns_named(table, "cig"), columns_named(table, "class")):
        if len(names) > 1:
            raise InputError(f"{setting}: {' and '.join(names)} are two columns for one thing; leave one of them")
    cig, name = column_named(table, "cig"), column_named(table, "class")
    if cig is None or (name is None and len(asymmetry) != 1):
        raise InputError(
            f"{setting}: needs a column cig and a column Class (or one A_flux); it has {listed(table.columns)}"
        )
    table = table.dropna(how="all")  # spreadsheets leave rows of nothing but delimiters
    if table.empty:
        raise InputError(f"{setting}: all its rows are empty")
    table.index = pd.Index([_cig_number(value, setting) for value in table.pop(cig)], name="cig")
    if name is not None:
        table["_class"] = [_class(value, number, setting) for number, value in table.pop(name).items()]
    else:
        table["_class"] = _classes_by_asymmetry(table[asymmetry[0]], setting)
    repeated = table.index[table.index.duplicated()].unique()
    if len(repeated):
        log.warning(
            "%s: objects with more than one row: %d, such as CIG %d; the first row is used",
            file,
            len(repeated),
            repeated[0],
        )
    table = table[~(table.index.duplicated() & table["_class"].isna())]
    for number, named in table.groupby(level=0)["_class"].unique().items():
        if len(named) > 1:
            raise InputError(
                f"{setting}: CIG {number} has the classes {', '.join(f'{value:g}' for value in named)}; "
                "leave one row of it"
            )
    return table[~table.index.duplicated()]


def _cig_number(value: object, setting: str) -> int:
    match = re.fullmatch(r"(?:CIG)?[\s_]*([0-9]{1,12})(?:\.0*)?", str(value).strip()[:1000], re.IGNORECASE)
    if not match:
        raise InputError(f"{setting}: '{shown(value)}' in column cig is no CIG number")
    return int(match[1])


def _class(value: object, number: int, setting: str) -> float:
    text = "" if pd.isna(value) else str(value).strip()
    if text in NO_NUMBER:
        return np.nan
    if not re.fullmatch(r"[0-9]{1,9}(\.0*)?", text):
        raise InputError(
            f"{setting}: CIG {number} has the class '{shown(text)}'; "
            "write whole numbers (0 symmetric, 1 slightly, 2 strongly asymmetric), nothing where there is none"
        )
    return float(text)


def _classes_by_asymmetry(a_flux: pd.Series, setting: str) -> np.ndarray:
    """Divide A_flux at the limits of Espada et al. 2011; NaN where it is unknown."""
    try:
        values = a_flux.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{setting}: column {shown(a_flux.name)} has a value that is no number ({shown(error, 200)})"
        ) from error
    return np.where((values > 0) & np.isfinite(values), asymmetry_class(values), np.nan)
