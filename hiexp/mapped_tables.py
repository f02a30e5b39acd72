"""Tables of very many rows, whose numbers are mapped from a file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.mapped import empty_rows, load_rows, save_rows


class GrowingTable:
    """A table that is put together from parts of one kind without ever being in memory twice.

    Parameters
    ----------
    n_rows : int
        Rows of all parts together.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows, self._next = n_rows, 0
        self._numbers = np.empty((0, 0))
        self._columns: list[str] = []
        self._numeric: list[bool] = []
        self._others: list[pd.DataFrame] = []

    def add(self, part: pd.DataFrame) -> None:
        """Add some rows."""
        if not self._others:
            self._columns = list(part)
            self._numeric = [dtype == np.float64 for dtype in part.dtypes]
            self._numbers = empty_rows((sum(self._numeric), self.n_rows), np.float64)
        rows = slice(self._next, self._next + len(part))
        numbers = part.loc[:, self._numeric]
        for place in range(numbers.shape[1]):
            self._numbers[place, rows] = numbers.iloc[:, place].to_numpy(np.float64)
        self._others.append(part.loc[:, [not numeric for numeric in self._numeric]])
        self._next = rows.stop

    def table(self) -> pd.DataFrame:
        """Return all rows; the numbers are not copied."""
        return _joined(self._numbers, pd.concat(self._others), self._columns, self._numeric)


def save_table(table: pd.DataFrame, folder: Path, name: str) -> None:
    """Write a table for `load_table`: numbers as ``NAME.npy``, a row a column, the others as ``NAME.parquet``."""
    numeric = [dtype == np.float64 for dtype in table.dtypes]
    numbers = table.loc[:, numeric]
    stored = empty_rows((numbers.shape[1], len(table)), np.float64)
    for place in range(numbers.shape[1]):
        stored[place] = numbers.iloc[:, place].to_numpy()
    save_rows(folder / f"{name}.npy", stored)
    table.loc[:, [not one for one in numeric]].to_parquet(folder / f"{name}.parquet")
    (folder / f"{name}.json").write_text(json.dumps([list(table), numeric]))


def load_table(folder: Path, name: str) -> pd.DataFrame:
    """Return what `save_table` wrote; its numbers come from the disk as they are used."""
    columns, numeric = json.loads((folder / f"{name}.json").read_text())
    numbers = load_rows(folder / f"{name}.npy", sum(numeric))
    return _joined(numbers, pd.read_parquet(folder / f"{name}.parquet"), columns, numeric)


def _joined(
    numbers: np.ndarray, others: pd.DataFrame, columns: Sequence[str], numeric: Sequence[bool]
) -> pd.DataFrame:
    """Return a table of numbers, shape (C, N), and other columns, in an order; neighbours stay one block."""
    blocks: list[pd.DataFrame] = []
    at = {True: 0, False: 0}
    for kind, run in itertools.groupby(zip(columns, numeric, strict=True), key=lambda column: column[1]):
        names = [name for name, _ in run]
        here = slice(at[kind], at[kind] + len(names))
        at[kind] = here.stop
        if kind:
            blocks.append(pd.DataFrame(numbers[here].T, index=others.index, columns=names, copy=False))
        else:
            blocks.append(others.iloc[:, here])
    return pd.concat(blocks, axis=1) if blocks else others
