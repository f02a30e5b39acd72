"""Catalogues of galaxies in their public forms, under VizieR's column names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.datasets.tables import read_table
from hiexp.errors import InputError

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
        If there is no such file, it cannot be read, or has no column AGC or no rows.
    """
    path = Path(file)
    if not path.is_file():
        raise InputError(f"dataset.catalogue={file}: no such file")
    table = _read_cds(path) if path.name.endswith((".dat", ".dat.gz")) else read_table(path)
    table = table.rename(columns=CORNELL)
    if "AGC" not in table:
        raise InputError(f"dataset.catalogue={file}: no column AGC or AGCNr; it has {', '.join(map(str, table))}")
    numbers = pd.to_numeric(table["AGC"], errors="coerce")
    if numbers.isna().any():
        row = int(np.flatnonzero(numbers.isna())[0])
        raise InputError(f"dataset.catalogue={file}: row {row + 1} has AGC '{table['AGC'].iloc[row]}', no number")
    table.index = pd.Index([f"{number:06d}" for number in numbers.astype(int)], name="id")
    first = ~table.index.duplicated()
    return table[first].drop(columns="AGC"), sorted(set(table.index[~first]))


def within(catalogue: pd.DataFrame, where: Mapping[str, Sequence[float | None] | None]) -> np.ndarray:
    """Tell which rows lie within ranges of columns.

    Parameters
    ----------
    catalogue : DataFrame
        N rows.
    where : mapping of str to (low, high) or None
        Inclusive limits by column; None for either is no limit. A row without a value is outside.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    InputError
        If a column is not there, or a range is no pair.
    """
    inside = np.ones(len(catalogue), dtype=bool)
    for column, limits in where.items():
        if limits is None:
            continue
        if column not in catalogue:
            raise InputError(f"dataset.where.{column}: the catalogue has no such column, only {', '.join(catalogue)}")
        if len(limits) != 2:
            raise InputError(f"dataset.where.{column}={list(limits)}: give [low, high], null for no limit")
        low, high = (
            default if limit is None else limit for limit, default in zip(limits, (-np.inf, np.inf), strict=True)
        )
        inside &= pd.to_numeric(catalogue[column], errors="coerce").between(low, high).to_numpy()
    return inside


def _read_cds(path: Path) -> pd.DataFrame:
    from astropy.io import ascii as text_tables

    readme = path.with_name("ReadMe")
    if not readme.is_file():
        raise InputError(f"{path}: a CDS table needs its ReadMe in the same folder")
    try:
        return text_tables.read(str(path), format="cds", readme=str(readme)).to_pandas()
    except Exception as error:  # astropy raises a dozen kinds on tables that are not as their ReadMe says
        raise InputError(f"{path}: not as its ReadMe describes it ({error})") from error
