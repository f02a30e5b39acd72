"""Text spectra of isolated galaxies (CIG numbers) and their asymmetry classes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from astropy import units as u
from tqdm import tqdm

from hiexp.datasets.cleaning import clean, masking_text
from hiexp.datasets.columns import read_columns
from hiexp.datasets.files import is_folder
from hiexp.datasets.selection import select_classes
from hiexp.datasets.stacking import Channels, stack
from hiexp.datasets.tables import NO_NUMBER, column_named, columns_named, listed, read_table, shown
from hiexp.errors import InputError
from hiexp.kinds import Seed
from hiexp.spectra import UNKNOWN, Spectra
from hiexp.spectral.axis import (
    NARROWEST_CHANNEL,
    UNITS,
    WIDEST_CHANNEL,
    check_velocities,
    could_be_frequencies,
    to_velocity,
    units_that_fit,
)
from hiexp.spectral.channels import find_blanks, find_fill_values
from hiexp.spectral.widths import asymmetry_class

log = logging.getLogger(__name__)

MJY = {"mJy": 1.0, "Jy": 1000.0}
RELATIVE = "its channel numbers give velocities from channel 0, not from rest: positions are relative"
THIRD_COLUMN = "its third column (errors of the flux?) is not used: the noise is measured beside the line"


def read_cig(
    path: str,
    classes_file: str | None = None,
    classes: Sequence[int] | None = None,
    balance: bool = False,
    seed: Seed = 1,
    flux_unit: Literal["mJy", "Jy"] | None = None,
    axis_unit: Literal["km/s", "m/s", "MHz", "GHz", "kHz", "Hz"] | None = None,
    channel_width: float | None = None,
) -> Spectra:
    """Read a folder of ``CIG<number>_*.asc`` and, where there is one, the table of their classes.

    Each file has the columns that `hiexp.datasets.columns.read_columns` takes: velocity, in any order, and flux
    density. Channels without flux (NaN, nothing, a fill value such as -999, a run of zeros) are masked, rows of one
    velocity averaged, channels left out put in masked. Consecutive whole numbers in place of velocities are taken for
    channel numbers. A file that cannot be used is skipped and listed in `Spectra.skipped`; so is one whose axis or
    noise is not that of an HI spectrum in km/s and mJy, unless its unit is given.

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
        Seed of that draw.
    flux_unit : {"mJy", "Jy"}, optional
        Unit of the flux; mJy where None.
    axis_unit : {"km/s", "m/s", "MHz", "GHz", "kHz", "Hz"}, optional
        Unit of the velocities or frequencies; km/s where None. Frequencies become velocities in the optical
        convention, cz = c (f0 / f - 1) with f0 = 1420.40575177 MHz, in the frame they have.
    channel_width : float, optional
        km/s a channel, for files with channel numbers; negative where velocity falls as they rise. Their velocities
        are relative: those from channel 0.

    Returns
    -------
    Spectra
        In the order of the CIG numbers, with the class table's columns in the catalogue. Without a
        `classes_file` there are no reference classes. Objects with a class and no spectrum are in `skipped`.

    Raises
    ------
    InputError
        If the folder holds no spectrum that can be used, a file has channel numbers and there is no
        `channel_width`, there is one and no file has them, or the class table does not fit.
    """
    if flux_unit not in (None, *MJY):
        raise InputError(f"dataset.flux_unit={flux_unit}: choose one of {', '.join(MJY)}")
    if axis_unit not in (None, *UNITS):
        raise InputError(f"dataset.axis_unit={axis_unit}: choose one of {', '.join(UNITS)}")
    if channel_width is not None:
        if axis_unit is not None:
            raise InputError(
                f"dataset.axis_unit={axis_unit} and dataset.channel_width={channel_width}: the axis has a unit, "
                "or it has channel numbers; give one of the two"
            )
        if not NARROWEST_CHANNEL <= abs(channel_width) <= WIDEST_CHANNEL:
            raise InputError(
                f"dataset.channel_width={channel_width}: give the km/s from one channel to the next, "
                f"{NARROWEST_CHANNEL:g} to {WIDEST_CHANNEL:g} of them, negative where velocity falls"
            )
    read, skipped = _read_folder(path, None if flux_unit is None else MJY[flux_unit], axis_unit, channel_width)
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
        told = {int(found[1]) for row in skipped if (found := re.match(r"\D*(\d+)", row["name"]))}
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
    path: str, to_mjy: float | None, axis_unit: str | None, channel_width: float | None
) -> tuple[dict[int, Channels], list[dict[str, str]]]:
    """Read every spectrum of a folder: by CIG number, ascending, and what could not be read."""
    folder = Path(path)
    if not is_folder(folder, "dataset.path"):
        raise InputError(
            f"dataset.path={path}: no such folder; give the folder that holds the CIG<number>_*.asc files"
        )
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"dataset.path={path} cannot be read: {error.strerror}") from error
    named = [(re.fullmatch(r"CIG0*(\d+)(_.*)?\.asc", f.name, re.IGNORECASE | re.ASCII), f) for f in entries]
    files = sorted((int(match[1]), file) for match, file in named if match)
    if not files:
        raise InputError(f"dataset.path={path}: no CIG<number>_*.asc in this folder; give the folder that holds them")
    read: dict[int, Channels] = {}
    origin: dict[int, str] = {}
    skipped = []
    remarks: dict[str, list[str]] = {}
    for number, file in tqdm(files, desc="reading spectra", unit="file", delay=1, leave=False):
        try:
            if number in read:
                raise InputError(
                    f"a second spectrum of CIG {number}: {origin[number]} was taken; leave one of them in the folder"
                )
            axis, flux, left_out = read_columns(file)
            velocity, relative = _velocities(axis, axis_unit, channel_width, file)
            read[number], said = _clean(velocity, flux, to_mjy)
            origin[number] = file.name
        except _SettingError:
            raise
        except InputError as error:
            skipped.append({"name": file.name, "reason": str(error).removeprefix(f"{file} ")})
            continue
        for remark in (*[RELATIVE] * relative, *[THIRD_COLUMN] * left_out, *said):
            remarks.setdefault(remark, []).append(file.name)
    if not read:
        raise InputError(
            f"dataset.path={path}: none of its {len(files)} files can be used; "
            f"the first, {skipped[0]['name']}: {skipped[0]['reason']}"
        )
    if channel_width is not None and RELATIVE not in remarks:
        raise InputError(
            f"dataset.channel_width={channel_width:g} is not used: no file in {path} has channel numbers; "
            "leave it out"
        )
    for remark, names in remarks.items():
        log.warning("%s: %s", names[0] if len(names) == 1 else f"{len(names)} files, as {names[0]}", remark)
    return read, skipped


class _SettingError(InputError):
    """A setting is missing: the next file would fail like this one."""


def _velocities(
    axis: np.ndarray, axis_unit: str | None, channel_width: float | None, file: Path
) -> tuple[np.ndarray, bool]:
    """Return the axis as velocities in km/s, and whether they are relative: made of channel numbers."""
    distinct = np.unique(axis)
    if distinct.size < 2:
        raise InputError(f"{distinct.size} different velocities in its {axis.size} lines with a number")
    if axis_unit is not None:
        velocity = to_velocity(u.Quantity(axis, axis_unit))
        if axis_unit not in units_that_fit(distinct):
            raise InputError(
                f"its first column, {axis.min():.7g} to {axis.max():.7g}, cannot be dataset.axis_unit={axis_unit}: "
                f"it looks like {' or '.join(units_that_fit(distinct)) or 'no unit of a spectrum'}"
            )
        return velocity, False
    if _counts_channels(distinct):
        if channel_width is None:
            raise _SettingError(
                f"{file}: its first column counts channels, {axis.min():g} to {axis.max():g}; give their width in "
                "km/s as dataset.channel_width=... (or dataset.axis_unit=km/s if these are velocities)"
            )
        return axis * channel_width, True
    check_velocities(distinct, "give dataset.axis_unit={unit}")
    if could_be_frequencies(distinct):
        raise InputError(
            f"its first column, {axis.min():.7g} to {axis.max():.7g}, could be in km/s or in MHz; "
            "give dataset.axis_unit=km/s or dataset.axis_unit=MHz"
        )
    return axis, False


def _counts_channels(values: np.ndarray) -> bool:
    """Whether ascending numbers are consecutive whole ones from anywhere, a few of them left out."""
    return bool(np.all(values == np.round(values))) and np.median(np.diff(values)) == 1


def _clean(velocity: np.ndarray, flux: np.ndarray, to_mjy: float | None) -> tuple[Channels, list[str]]:
    """Bring one spectrum into order, and say what was masked: ascending, one row a velocity, no gaps."""
    given = np.isfinite(flux)
    filled = find_fill_values(flux, given)
    given = given & ~filled
    velocity, place = np.unique(velocity, return_inverse=True)
    count = np.bincount(place, given, minlength=velocity.size)
    total = np.bincount(place, np.where(given, flux, 0.0), minlength=velocity.size)
    known = count > 0
    mean = np.divide(total, count, out=np.zeros(velocity.size), where=known)
    blank = find_blanks(mean, known)
    channels = clean(velocity, mean * (to_mjy or 1.0), known & ~blank, unit_known=to_mjy is not None)
    return channels, masking_text(flux[filled], blank)


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
