"""Text files of one spectrum in columns: an axis and a flux."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hiexp.datasets.tables import read_lines
from hiexp.errors import InputError

MISSING = {"", "-", "--", "nan", "null", "none", "indef", "inf", "-inf"}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eEdD][+-]?\d+)?", re.ASCII)


def read_columns(file: Path) -> tuple[np.ndarray, np.ndarray, bool]:
    """Read the axis and the flux of one spectrum.

    Two columns, separated by blanks, commas or semicolons, quoted or not, with decimal points or (beside blanks and
    semicolons) commas, exponents with E or D. Of three, the first is left out if it counts the rows, else the third.
    Lines that begin with ``#``, ``;`` or ``!``, and text or a single number above the columns, are passed over.

    Parameters
    ----------
    file : Path
        In any encoding that `read_lines` knows.

    Returns
    -------
    axis, flux : ndarray, shape (M,)
        In the order of the file. Rows without a number on the axis are left out; flux is NaN where it is missing.
    left_out : bool
        Whether a third column was left out that is no count.

    Raises
    ------
    InputError
        If the file is no text, has other columns, or a cell that is no number; the message leaves the name to the
        caller.
    """
    rows = numbered_rows(read_lines(file))
    if not rows:
        raise InputError("no line with numbers; two columns are needed, velocity and flux")
    n_columns = max(len(cells) for _, cells in rows)
    if n_columns not in (2, 3):
        raise InputError(
            f"{n_columns} column{'s' * (n_columns > 1)}; two are read, velocity and flux, with a count of the rows "
            "before them or errors after them"
        )
    if len(rows[0][1]) == 1:  # the number of rows, or of the object
        rows = rows[1:]
    values = np.array([[number(cell, line) for cell in [*cells, "", ""][:n_columns]] for line, cells in rows])
    counted = n_columns == 3 and _is_axis(values[:, 1])
    if counted and not (np.diff(values[:, 0]) == 1).all():
        raise InputError("the first two of its three columns rise or fall steadily; leave one of them, and the flux")
    axis, flux = values[:, 1:].T if counted else values[:, :2].T
    known = np.isfinite(axis)
    return axis[known], flux[known], n_columns == 3 and not counted


def _is_axis(column: np.ndarray) -> bool:
    """Whether numbers rise or fall from each to the next, as no flux with noise does."""
    steps = np.diff(column)
    return steps.size > 0 and bool((steps > 0).all() or (steps < 0).all())


def numbered_rows(lines: list[str]) -> list[tuple[int, list[str]]]:
    """Return number (from 1) and cells of the lines below the text, empty cells at the end of a line left out.

    Raises
    ------
    InputError
        If a line ends within quotes.
    """
    lines = [line.partition("#")[0].partition("!")[0].strip() for line in lines]
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith(";")]
    split = _splitter([line for _, line in numbered])
    rows: list[tuple[int, list[str]]] = []
    for number, line in numbered:
        try:
            cells = split(line)
        except csv.Error as error:
            raise InputError(f"line {number}: {error}") from error
        while cells and not cells[-1]:
            cells.pop()
        if rows or (cells and NUMBER.fullmatch(cells[0])):
            rows.append((number, cells))
    return rows


def _splitter(lines: list[str]) -> Callable[[str], list[str]]:
    """Return what splits the lines of a file into cells with decimal points."""
    numeric = [line for line in lines if line[0] in "+-.\"'" or line[0].isdigit()]
    if any(";" in line for line in numeric):
        return lambda line: _cells(line, ";")
    if not any("," in line for line in numeric):
        return lambda line: line.replace('"', " ").replace("'", " ").split()
    if all(DECIMAL_COMMA.fullmatch(cell) for line in numeric for cell in line.split()):
        return lambda line: line.replace(",", ".").split()
    return lambda line: _cells(line, ",")


def _cells(line: str, delimiter: str) -> list[str]:
    quoted = '"' in line
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True)) if quoted else line.split(delimiter)
    return [cell.strip(" \t'").replace(",", ".") for cell in cells]


def number(cell: str, line: int) -> float:
    """Return the number of a cell, NaN where it says that there is none.

    Raises
    ------
    InputError
        If it is neither, or beyond the range of numbers; the message names the line.
    """
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    # Python reads 1_0 and other scripts' digits, too, and no exponents of Fortran.
    if -np.inf < value < np.inf and cell.isascii() and "_" not in cell:
        return value
    if NUMBER.fullmatch(cell):
        value = float(cell.replace("D", "E").replace("d", "e"))
        if np.isfinite(value):
            return value
        raise InputError(f"line {line}: '{cell[:40]}' is beyond the range of numbers")
    if cell.lower() in MISSING:
        return np.nan
    raise InputError(f"line {line}: '{cell[:40]}' is no number")
