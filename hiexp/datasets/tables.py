"""Tables in whatever form people keep them: delimited text, VizieR TSV, VOTable, FITS."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
from pathlib import Path

import pandas as pd
from astropy.table import Table

from hiexp.errors import InputError

DELIMITERS = ("\t", ";", ",", "|")  # in the order they are looked for in the line of names; else whitespace
RULE = re.compile(r"[-\s;,|]*-[-\s;,|]*")  # the line of dashes under VizieR's names and units


def read_lines(file: Path) -> list[str]:
    """Read a text file in UTF-8 with or without a byte order mark, UTF-16 with one, else Latin-1.

    Raises
    ------
    InputError
        If the file cannot be opened, or is no text.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    return _lines(content, file)


def read_table(file: Path, text_columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table of unknown make.

    Parameters
    ----------
    file : Path
        Text with one line of names, in any delimiter and encoding, with or without VizieR's ``#`` comments, line
        of units and line of dashes; or a VOTable or FITS file; gzipped or not.
    text_columns : tuple of str
        Columns of a text file to keep as they are written (compared in lower case); the others become numbers
        where all their values are.

    Returns
    -------
    DataFrame
        With at least one row. Names as in the file, stripped; empty cells are missing values.

    Raises
    ------
    InputError
        If the file is missing, empty or no table.
    """
    try:
        content = file.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not content.strip():
        raise InputError(f"{file} is empty; give a table with a line of column names and rows below it")
    if content.startswith(b"SIMPLE  ="):
        table = _read_astropy(content, "fits", file)
    elif re.match(rb"(\xef\xbb\xbf)?\s*<(\?xml|VOTABLE)", content):
        table = _read_astropy(content, "votable", file)
    else:
        table = _read_delimited(_lines(content, file), text_columns, file)
    if table.empty:
        raise InputError(f"{file} has no rows below its column names {', '.join(table.columns)}")
    return table


def column_named(table: pd.DataFrame, *names: str) -> str | None:
    """Return the first column with one of `names`, in lower case, whatever its own case; None where none has."""
    return next((column for column in table.columns if column.lower() in names), None)


def _lines(content: bytes, file: Path) -> list[str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16", errors="replace")
    elif b"\0" in content:
        raise InputError(f"{file} is no text file")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
    # Not str.splitlines, to which a Latin-1 ellipsis of Windows is the end of a line.
    return re.split(r"\r\n|\r|\n", text)


def _read_delimited(lines: list[str], text_columns: tuple[str, ...], file: Path) -> pd.DataFrame:
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise InputError(f"{file} is empty but for comments; give a table with a line of column names")
    rule = next((number for number, line in enumerate(lines[:4]) if RULE.fullmatch(line)), None)
    if rule:
        lines[1 : rule + 1] = []
    delimiter = next((mark for mark in DELIMITERS if mark in lines[0]), None)
    cells = lines[0].split() if delimiter is None else next(csv.reader(lines[:1], delimiter=delimiter))
    names = [cell.strip() for cell in cells]
    if len(lines) == 1:
        return pd.DataFrame(columns=names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO("\n".join(lines[1:])),
                sep=delimiter or r"\s+",
                names=names,
                header=None,
                index_col=False,
                skipinitialspace=True,
                # Not as dtype: "None" and "NA" are words, and only an empty cell is a missing value.
                converters=dict.fromkeys((name for name in names if name.lower() in text_columns), _as_written),
                na_values=["--", "?"],
            )
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise InputError(
            f"{file} is no table with the columns {', '.join(names[:8])}: {str(error).strip()}"
        ) from error
    # Lines that end with a delimiter have a column without name and values.
    return table.drop(columns="") if "" in names and table[""].isna().all() else table


def _as_written(cell: str) -> str | None:
    return cell.strip() or None


def _read_astropy(content: bytes, form: str, file: Path) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units and dates that astropy does not know
            table = Table.read(io.BytesIO(content), format=form)
    except Exception as error:  # astropy raises OSError, TypeError, IndexError, ... on damaged files
        raise InputError(f"{file} is not a readable {form.upper()} table ({error})") from error
    return table[[name for name in table.colnames if table[name].ndim == 1]].to_pandas()
