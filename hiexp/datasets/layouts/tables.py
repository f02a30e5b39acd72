"""Spectra in astropy's tables: a row a channel, arrays in rows, or the rows of SDFITS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.table import Table

from hiexp.datasets.layouts.roles import ID_NAMES, Column, spectra_in_columns, spectrum_in_columns
from hiexp.datasets.layouts.sdfits import is_sdfits, spectra_in_sdfits
from hiexp.datasets.layouts.spectrum import Given, RawSpectrum
from hiexp.datasets.tables import listed, shown
from hiexp.errors import InputError


def spectra_in_table(table: Table, given: Given, facts: Mapping[str, object], form: str) -> Iterator[RawSpectrum]:
    """Yield the spectra of a table: one of its rows, or one a row where its cells are arrays.

    Parameters
    ----------
    table : Table
        Masked cells are missing values.
    given : Given
        What the user says.
    facts : mapping
        Cards of its header, their names in capitals.
    form : str
        Name of the format, for the screen.

    Raises
    ------
    InputError
        If its columns are not those of spectra; the message leaves the name to the caller.
    """
    if not len(table):
        raise InputError(f"no rows below the columns {listed(table.colnames)}")
    if is_sdfits(table, facts) and not given.columns.keys() & {"velocity", "flux"}:
        for key in given.columns:
            raise InputError(f"the columns of SDFITS are known; leave out dataset.columns.{key}")
        yield from spectra_in_sdfits(table, facts)
        return
    arrays = [name for name in table.colnames if _has_arrays(table[name])]
    if not arrays:
        columns = [Column(name, _unit(table[name]), _cells(table[name])) for name in table.colnames]
        yield from spectra_in_columns(columns, given, facts, f"{form}, a row a channel")
        return
    scalars = [name for name in table.colnames if name not in arrays]
    identity = _identity(table, scalars, given)
    of_arrays = replace(given, columns=_among(table, arrays, given))
    for row in range(len(table)):
        cells = [_cells(np.ma.atleast_1d(table[name][row])) for name in arrays]
        columns = [Column(name, _unit(table[name]), one) for name, one in zip(arrays, cells, strict=True)]
        own = {name.upper(): table[name][row] for name in scalars if not np.ma.is_masked(table[name][row])}
        named = {"OBJECT": own[identity.upper()]} if identity and identity.upper() in own else {}
        yield spectrum_in_columns(columns, of_arrays, {**facts, **own, **named}, f"{form}, a row a spectrum")


def _has_arrays(column: np.ndarray) -> bool:
    return column.ndim > 1 or (column.dtype.kind == "O" and np.ndim(column[0]) > 0)


def _identity(table: Table, scalars: list[str], given: Given) -> str | None:
    """Return the column that names the objects of the rows."""
    asked = given.columns.get("id")
    if asked is None:
        return next((name for wanted in ID_NAMES for name in scalars if name.upper() == wanted), None)
    names = table.colnames
    found = names[asked - 1] if isinstance(asked, int) and 1 <= asked <= len(names) else asked
    if found not in scalars:
        raise InputError(f"dataset.columns.id={shown(asked)}: no such column of names; it has {listed(scalars)}")
    return str(found)


def _among(table: Table, arrays: list[str], given: Given) -> dict[str, str | int]:
    """Return the columns that the user gives, their numbers counted among the columns of arrays."""
    columns: dict[str, str | int] = {}
    for role, asked in given.columns.items():
        if role == "id":
            continue
        name = table.colnames[asked - 1] if isinstance(asked, int) and 1 <= asked <= len(table.colnames) else asked
        columns[role] = arrays.index(name) + 1 if name in arrays else asked
    return columns


def _unit(column: object) -> str:
    unit = getattr(column, "unit", None)
    return "" if unit is None else str(unit)


def _cells(values: Any) -> np.ndarray:
    """Return numbers with NaN where masked, or text as it is."""
    array: Any = np.ma.MaskedArray(values)
    array = array.reshape(-1) if array.ndim != 1 else array
    if array.dtype.kind == "O" and array.size == 1 and np.ndim(array[0]) > 0:
        array = np.ma.MaskedArray(array[0]).reshape(-1)
    if array.dtype.kind in "fiub":
        return array.astype(float).filled(np.nan)
    if array.dtype.kind == "S":
        return np.char.decode(array.filled(b""), "latin-1")
    return np.array([str(cell) for cell in array.filled("").tolist()])
