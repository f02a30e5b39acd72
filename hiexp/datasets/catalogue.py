"""Catalogues of galaxies in their public forms, under VizieR's column names."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from hiexp.datasets.files import read_content
from hiexp.datasets.tables import NO_NUMBER, listed, read_table, shown
from hiexp.errors import InputError
from hiexp.spectral.axis import LIGHT_SPEED

log = logging.getLogger(__name__)

# The Cornell archive's names for the columns of VizieR J/ApJ/861/49/table2 (Haynes et al. 2018).
CORNELL = {
    "AGCNr": "AGC",
    "RAdeg_HI": "RAJ2000",
    "DECdeg_HI": "DEJ2000",
    "Vhelio": "Vhel",
    "sigW": "e_W50",
    "sigflux": "e_HIflux",
    "RMS": "rms",
    "sigDist": "e_Dist",
    "logMH": "logMHI",
    "siglogMH": "e_logMHI",
    "HIcode": "HI",
}
# Columns that are numbers, and what a galaxy's are always above: -99, -999 or -9999 say that there is none.
NUMBERS = {"Vhel": -900.0} | dict.fromkeys(
    ("W50", "e_W50", "W20", "HIflux", "e_HIflux", "SNR", "rms", "Dist", "e_Dist", "logMHI", "e_logMHI", "HI"), -90.0
)
OUTSIDE_GRAMMAR = r"[^A-Za-z0-9_/\\+.$%*@?|()\[\]{}:=, -]"  # what a key in Hydra's overrides cannot have


def read_agc_catalogue(file: str) -> tuple[pd.DataFrame, list[str]]:
    """Read a catalogue with a column of AGC numbers.

    Parameters
    ----------
    file : str
        VizieR's tab-separated text, CDS fixed-width ``table2.dat`` or ``.dat.gz`` with its ``ReadMe`` beside it,
        the Cornell archive's CSV, VOTable or FITS.

    Returns
    -------
    catalogue : DataFrame
        Under VizieR's names, indexed by the AGC number as text of six digits or more.
    repeated : list of str
        AGC numbers with more than one row; the first is kept.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, has no rows, not one column AGC, two columns for one thing, or
        an AGC number that is none.

    Notes
    -----
    In the columns of `NUMBERS`, what is no number (a mark such as ``5500*``), infinite, far below what is possible
    (-999) or beyond the speed of light is missing, with a warning. A fill value that could be a measurement, such as
    999 km/s, is not found: choose by ``dataset.where``.
    """
    path = Path(file)
    with suppress(OSError):  # a name too long, or a folder that is closed: reading says so
        if not path.exists():
            raise InputError(f"dataset.catalogue={file}: no such file")
    table = _read_cds(path) if path.name.endswith((".dat", ".dat.gz")) else read_table(path)
    names = [str(name) for name in table]
    table = table.set_axis([CORNELL.get(name, name) for name in names], axis="columns")
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        both = " and ".join(shown(name) for name in names if CORNELL.get(name, name) == twice)
        raise InputError(f"dataset.catalogue={file}: {both} are two columns for one thing; leave one of them")
    if "AGC" not in table:
        raise InputError(f"dataset.catalogue={file}: no column AGC or AGCNr; it has {listed(table)}")
    empty = _empty_rows(table)
    if empty.all():
        raise InputError(f"dataset.catalogue={file}: all its rows are empty")
    if empty.any():
        log.warning("%s: empty rows left out: %d", file, empty.sum())
    table.index = pd.RangeIndex(1, len(table) + 1)
    table = table[~empty]
    table = table.assign(**{name: numbers_of_galaxies(table[name], file) for name in NUMBERS if name in table})
    if "Vhel" in table and table["Vhel"].isna().any():
        missing = int(table["Vhel"].isna().sum())
        log.warning(
            "%s: %d of %d rows have no Vhel; that of the spectrum's header is used", file, missing, len(table)
        )
    table.index = pd.Index([_agc_number(value, row, file) for row, value in table["AGC"].items()], name="id")
    first = ~table.index.duplicated()
    return table[first].drop(columns="AGC"), sorted(set(table.index[~first]))


def _empty_rows(table: pd.DataFrame) -> np.ndarray:
    """Tell which rows have nothing in any column."""
    empty = table.isna()
    for name in table.columns[[column.dtype.kind == "O" for _, column in table.items()]]:
        empty[name] |= table[name].astype(str).str.strip() == ""
    return empty.all(axis=1).to_numpy()


def _agc_number(value: object, row: int, file: str) -> str:
    """Return an AGC number as text of six digits or more."""
    match = re.fullmatch(r"([0-9]{1,12})(?:\.0*)?", "" if pd.isna(value) else str(value).strip())
    if not match or int(match[1]) == 0:
        raise InputError(
            f"dataset.catalogue={file}: row {row} has AGC '{shown(value)}', no number; write whole numbers from 1 up"
        )
    return f"{int(match[1]):06d}"


def numbers_of_galaxies(column: pd.Series, file: str) -> pd.Series:
    """Return a column as numbers, NaN where there is none; what is no number and no sign of a missing one is said."""
    if column.dtype.kind in "iuf" and not column.isna().any():
        numbers = column
    elif column.dtype.kind == "O":
        text = column.astype(str).where(column.notna(), "").str.strip()
        numbers = pd.to_numeric(text.where(~text.isin(NO_NUMBER)), errors="coerce").astype(float)
        column = text.mask(text.isin(NO_NUMBER))
    else:
        numbers = column.astype(float)
    above = LIGHT_SPEED if column.name in ("Vhel", "W50", "W20") else np.inf
    wrong = column.notna() & ~(np.isfinite(numbers) & (numbers > NUMBERS[column.name]) & (numbers < above))
    if not wrong.any():
        return numbers
    row = wrong.idxmax()
    log.warning(
        "%s: %d of %d values of %s are no numbers of a galaxy and taken as missing; the first is '%s' in row %d",
        *(file, wrong.sum(), len(column), column.name, shown(column[row]), row),
    )
    return numbers.astype(float).mask(wrong)


def within(catalogue: pd.DataFrame, where: Mapping[str, Sequence[float | None] | None]) -> np.ndarray:
    """Tell which rows lie within ranges of columns.

    Parameters
    ----------
    catalogue : DataFrame
        N rows.
    where : mapping of str to (low, high) or None
        Inclusive limits by column, with its unit in brackets or without; None for either is no limit. A row without
        a value is outside.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    InputError
        If a column is not there or has no numbers, or a range is no pair of numbers.
    """
    inside = np.ones(len(catalogue), dtype=bool)
    for column, limits in where.items():
        if limits is not None:
            low, high = _limits(column, limits)
            inside &= _asked(catalogue, column).between(low, high).to_numpy()
    return inside


def without_value(catalogue: pd.DataFrame, where: Mapping[str, Sequence[float | None] | None]) -> pd.DataFrame:
    """Return the rows that `within` leaves out for want of a value: their name and the reason."""
    reasons: dict[str, str] = {}
    for column, limits in where.items():
        if limits is not None:
            for name in catalogue.index[_asked(catalogue, column).isna()]:
                reasons.setdefault(name, f"no value of {column}, by which dataset.where chooses")
    return pd.DataFrame({"name": reasons.keys(), "reason": reasons.values()}, dtype=str)


def _asked(catalogue: pd.DataFrame, column: str) -> pd.Series:
    """Return the values of a column of `where` as numbers; ``W50`` stands for ``W50(km/s)`` where there is one."""
    with_unit = [name for name in catalogue if re.fullmatch(re.escape(str(column)) + r" *[(\[].*[)\]]", str(name))]
    if column not in catalogue and len(with_unit) == 1:
        column = with_unit[0]
    if column not in catalogue:
        raise InputError(
            f"dataset.where.{shown(column)}: the catalogue has no such column, only {listed(catalogue)}"
            + _how_to_write(str(column), [str(name) for name in catalogue])
        )
    numbers = pd.to_numeric(catalogue[column], errors="coerce").astype(float)
    if numbers.isna().all() and catalogue[column].notna().any():
        raise InputError(f"dataset.where.{shown(column)}: this column has no numbers to choose by")
    return numbers


def _how_to_write(column: str, names: list[str]) -> str:
    """Say how the command line takes a name such as ``W50(km/s)``, if there is one; of several the nearest."""
    odd = sorted(
        (name for name in names if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)),
        key=lambda name: not name.startswith(column),
    )
    if not odd:
        return ""
    if re.search(OUTSIDE_GRAMMAR, odd[0]):
        return f"; rename {shown(odd[0])}, which the command line does not take"
    escaped = re.sub(r"([\\()\[\]{}:=,])", r"\\\1", odd[0])
    return f"; to choose by {shown(odd[0])}, write '+dataset.where={{{escaped}:[low,high]}}' with the quotes"


def _limits(column: str, limits: object) -> tuple[float, float]:
    pair: list = list(limits) if isinstance(limits, Sequence) and not isinstance(limits, str) else [limits]
    numbers = all(limit is None or (isinstance(limit, int | float) and not isinstance(limit, bool)) for limit in pair)
    if len(pair) != 2 or not numbers or any(limit is not None and np.isnan(limit) for limit in pair):
        raise InputError(f"dataset.where.{shown(column)}={shown(limits)}: give [low, high], null for no limit")
    low, high = (default if limit is None else limit for limit, default in zip(pair, (-np.inf, np.inf), strict=True))
    if low > high:
        raise InputError(f"dataset.where.{shown(column)}={shown(limits)}: {low} is above {high}; give [low, high]")
    return low, high


def _read_cds(path: Path) -> pd.DataFrame:
    from astropy.io import ascii as text_tables

    readme = path.with_name("ReadMe")
    if not readme.is_file():
        raise InputError(f"{path}: a CDS table needs its ReadMe in the same folder")
    with TemporaryDirectory() as folder:  # astropy's own reading knows no bounds, and a table by its name alone
        table = Path(folder, path.name.removesuffix(".gz"))
        table.write_bytes(read_content(path))
        description = Path(folder, "ReadMe")
        description.write_bytes(read_content(readme))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return text_tables.read(str(table), format="cds", readme=str(description), guess=False).to_pandas()
        except Exception as error:  # astropy raises a dozen kinds on tables that are not as their ReadMe says
            said = shown(str(error).replace(f"{folder}/", ""), 200)
            raise InputError(f"{path}: not as its ReadMe describes it ({said})") from error
