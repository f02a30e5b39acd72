"""CSV that a spreadsheet shows and does not run.

Excel, LibreOffice and Google Sheets take a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, which
can start programs and fetch addresses. Names of objects, reasons, settings and column names come from outside, so a
text that begins like one is written with an apostrophe before it, the spreadsheets' own sign for text. Numbers stay
as they are, also where they are text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.folders import write_whole

if TYPE_CHECKING:
    import pandas as pd

# An apostrophe before such a text gets another, so that `unescaped` knows which of them to take away.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|nan)", re.IGNORECASE | re.ASCII)


def escaped(cell: object) -> object:
    """Return a cell as it is written: text that a spreadsheet would run begins with an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and _runs(cell) else cell


def unescaped(cell: object) -> object:
    """Return the cell that `escaped` was given."""
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _runs(cell[1:]) else cell


def _runs(text: str) -> bool:
    return FORMULA.match(text) is not None and NUMBER.fullmatch(text) is None


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV, their texts `escaped`."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([escaped(cell) for cell in row] for row in rows)
    return file.getvalue()


def write_csv(frame: pd.DataFrame, file: Path, *, index: bool = False) -> None:
    """Write a table whole or not at all; texts, column names and the index `escaped`.

    Parameters
    ----------
    frame : DataFrame
        Columns and index may have several levels.
    file : Path
        To write, or to replace.
    index : bool
        Whether to write the index, too.
    """
    safe = frame.copy(deep=False)
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if _may_hold_text(column):
            safe.isetitem(place, column.map(escaped))
    safe.columns = _escaped_labels(frame.columns)
    if index:
        safe.index = _escaped_labels(frame.index)
    write_whole(file, safe.to_csv(index=index))


def _escaped_labels(labels: pd.Index) -> pd.Index:
    if labels.nlevels > 1:
        safe = labels.set_levels([_escaped_labels(level) for level in labels.levels])
    else:
        safe = labels.map(escaped) if _may_hold_text(labels) and len(labels) else labels
    return safe.set_names([escaped(name) for name in labels.names])


def _may_hold_text(values: pd.Series | pd.Index) -> bool:
    from pandas.api import types

    dtype = values.dtype
    return types.is_object_dtype(dtype) or types.is_string_dtype(dtype) or isinstance(dtype, types.CategoricalDtype)
