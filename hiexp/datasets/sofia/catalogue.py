"""SoFiA's catalogue of sources in each of its three forms."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd

from hiexp.datasets.tables import read_lines, read_table, shown
from hiexp.errors import InputError

NEEDED = ("id", "rms", "f_sum")


def read_source_catalogue(file: Path) -> pd.DataFrame:
    """Read a catalogue of sources.

    Parameters
    ----------
    file : Path
        VOTable (``.xml``), SQL (``.sql``) or text (``.txt``) as SoFiA writes them, gzipped or not. Of SQL the names
        of the columns and the rows are read; nothing is run.

    Returns
    -------
    DataFrame
        SoFiA's columns, indexed by the number of the source as text.

    Raises
    ------
    InputError
        If it is damaged, no catalogue of SoFiA's, or has a source twice.
    """
    name = file.name.removesuffix(".gz")
    if name.endswith(".xml"):
        table = read_table(file)
    else:
        names, rows = (_of_sql if name.endswith(".sql") else _of_text)(read_lines(file), file)
        odd = next((row for row in rows if len(row) != len(names)), None)
        if odd is not None:
            raise InputError(
                f"{file}: a row of {len(odd)} values where there are {len(names)} columns; write it again"
            )
        cells = pd.DataFrame(rows, columns=names)
        table = cells.apply(lambda column: column if column.name == "name" else pd.to_numeric(column, "coerce"))
    missing = [column for column in NEEDED if column not in table]
    if missing or table.empty:
        what = f"no column {missing[0]}" if missing else "no sources"
        raise InputError(f"{file}: {what}; give a catalogue as SoFiA 2 writes it")
    numbers = pd.to_numeric(table["id"], "coerce")
    if numbers.isna().any() or (numbers % 1 != 0).any() or numbers.duplicated().any():
        wrong = table["id"][numbers.isna() | (numbers % 1 != 0) | numbers.duplicated()].iloc[0]
        raise InputError(
            f"{file}: the id '{shown(wrong)}' is no whole number, or there twice; give each source its own"
        )
    return table.drop(columns="id").set_index(pd.Index(numbers.astype(int).astype(str), name="id"))


def _of_text(lines: list[str], file: Path) -> tuple[list[str], list[list[str]]]:
    comments = [line.lstrip("# ").split() for line in lines if line.lstrip().startswith("#")]
    counted = [k for k, words in enumerate(comments) if words[:2] == ["1", "2"]]
    if not counted or counted[0] + 1 >= len(comments):
        raise InputError(f"{file}: no numbered column names above the rows; give a catalogue as SoFiA 2 writes it")
    rows = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return comments[counted[0] + 1], list(csv.reader(rows, delimiter=" ", skipinitialspace=True))


def _of_sql(lines: list[str], file: Path) -> tuple[list[str], list[list[str]]]:
    text = "\n".join(lines)
    head, insert, values = text.partition("INSERT INTO")
    names = re.findall(r"^\s*`(\w+)` +[A-Z]", head, re.MULTILINE)
    if not insert or not names:
        raise InputError(f"{file}: no CREATE TABLE and INSERT INTO; give a catalogue as SoFiA 2 writes it")
    rows = [found[1] for line in values.splitlines() if (found := re.fullmatch(r"\s*\((.*)\)[,;]?\s*", line))]
    return names, list(csv.reader(rows, skipinitialspace=True, quotechar='"' if '("' in values else "'"))
