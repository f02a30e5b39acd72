"""Tables in whatever form people keep them: delimited text, VizieR TSV, VOTable, FITS."""

from __future__ import annotations

import csv
import io
import logging
import math
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from xml.parsers import expat

import pandas as pd
from astropy.table import Table

from hiexp.datasets.files import GZIP_MAGIC, MOST_BYTES, read_content
from hiexp.datasets.fits_tables import table_hdus
from hiexp.errors import InputError

log = logging.getLogger(__name__)

DELIMITERS = ("\t", ";", ",", "|")  # in the order they are looked for in the line of names; else whitespace
RULE = re.compile(r"[-\s;,|]*")  # the line of dashes under VizieR's names and units
DECIMAL_COMMA = r"[+-]?(?:[0-9]{1,17}(?:,[0-9]*)?|,[0-9]+)(?:[eE][+-]?[0-9]+)?"
DECIMAL_POINT = r"\s*[+-]?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?\s*"
# What people write where there is no number; in a column of text it is a word like any other.
WORDS_FOR_NO_NUMBER = ("na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "indef")
NO_NUMBER = ["", "-", "--", "?", "NaN", "None", *WORDS_FOR_NO_NUMBER, *map(str.upper, WORDS_FOR_NO_NUMBER)]
VALUE_BYTES = 8  # of a number in memory
LONGEST_SHOWN = 40  # characters of a cell or a name in a message


def read_lines(file: Path) -> list[str]:
    """Read a text file in UTF-8 with or without a byte order mark, UTF-16 with one, else Latin-1.

    Raises
    ------
    InputError
        If the file cannot be opened, or is no text.
    """
    return lines_of(read_content(file), file)


def lines_of(content: bytes, file: Path) -> list[str]:
    """Divide the content of a text file into lines, as `read_lines` does."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16", errors="replace")
    elif b"\0" in content or content.startswith(GZIP_MAGIC):
        raise InputError(f"{file} is no text file")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
    # Not str.splitlines, to which a Latin-1 ellipsis of Windows is the end of a line.
    return re.split(r"\r\n|\r|\n", text)


def read_table(file: Path, text_columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table of unknown make.

    Parameters
    ----------
    file : Path
        Text with one line of names, in any delimiter and encoding, with or without VizieR's ``#`` comments, line
        of units and line of dashes; or ECSV, a VOTable, or a FITS file, of which the first table is read; gzipped or
        not.
        Nothing that a VOTable refers to is fetched.
    text_columns : tuple of str
        Columns of a text file to keep as they are written (compared in lower case); the others become numbers
        where all their values are, with a decimal comma too where commas do not separate the columns.

    Returns
    -------
    DataFrame
        With at least one row. Names as in the file, stripped; empty cells are missing values, and so are the words
        of `NO_NUMBER` in columns of numbers. ``attrs["units"]`` has the units that ECSV, VOTable and FITS state.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged, too large or no table.
    """
    content = read_content(file)
    if not content.strip():
        raise InputError(f"{file} is empty; give a table with a line of column names and rows below it")
    if content.startswith(b"SIMPLE  ="):
        table = _read_fits(content, file)
    elif re.match(rb"(\xef\xbb\xbf)?# %ECSV", content):
        table = _read_ecsv(content, file)
    elif re.match(rb"(\xef\xbb\xbf)?\s*<(\?xml|VOTABLE)", content):
        table = _read_votable(content, file)
    else:
        table = _read_delimited(lines_of(content, file), text_columns, file)
    if table.empty:
        raise InputError(f"{file} has no rows below its column names {listed(table.columns)}")
    return table


def column_named(table: pd.DataFrame, *names: str) -> str | None:
    """Return the first column with one of `names`, in lower case, whatever its own case; None where none has."""
    return next(iter(columns_named(table, *names)), None)


def columns_named(table: pd.DataFrame, *names: str) -> list[str]:
    """Return all columns with one of `names`, in lower case, whatever their own case."""
    return [column for column in table.columns if column.lower() in names]


def shown(value: object, longest: int = LONGEST_SHOWN) -> str:
    """Return something of a file as a message can show it: one line, printable and short."""
    text = " ".join(str(value)[:1000].split())
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def listed(names: Iterable[object]) -> str:
    """Return names of columns as a message can show them: 20 of them at most."""
    names = list(names)
    return ", ".join(map(shown, names[:20])) + (f" and {len(names) - 20} others" if len(names) > 20 else "")


def _read_delimited(lines: list[str], text_columns: tuple[str, ...], file: Path) -> pd.DataFrame:
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise InputError(f"{file} is empty but for comments; give a table with a line of column names")
    rule = next((number for number, line in enumerate(lines[:4]) if "-" in line and RULE.fullmatch(line)), None)
    if rule:
        lines[1 : rule + 1] = []
    delimiter = next((mark for mark in DELIMITERS if mark in lines[0]), None)
    try:
        cells = lines[0].split() if delimiter is None else next(csv.reader(lines[:1], delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{file} has no line of column names ({shown(error, 200)})") from error
    names = _names(cells, lines[1:], delimiter, file)
    if len(lines) == 1:
        return pd.DataFrame(columns=names)
    text = "\n".join(lines[1:])
    is_text = [name for name in names if name.lower() in text_columns]
    # Converters, not types: "None" and "NA" are words there, and only an empty cell is a missing value.
    table = _parsed(text, names, delimiter, file, NO_NUMBER, converters=dict.fromkeys(is_text, _as_written))
    words = [name for name, column in table.items() if column.dtype.kind == "O" and name not in is_text]
    if words:
        written = _parsed(text, names, delimiter, file, [""], dtype=str)
        table[words] = written[words]
        if delimiter != ",":
            table = table.assign(**_with_decimal_commas(written, words))
    # Lines that end with a delimiter have a column without name and values.
    return table.drop(columns="") if "" in names and table[""].isna().all() else table


def _names(cells: list[str], rows: list[str], delimiter: str | None, file: Path) -> list[str]:
    """Return the column names, as many as the longest row has cells.

    With more names than cells every column behind the one name too many would have the values of its neighbour.
    """
    names = [cell.strip() for cell in cells]
    while names[-1] == "" and len(names) > 1:
        names.pop()
    if delimiter is None:
        short = {size for row in rows if '"' not in row and 1 < (size := len(row.split())) < len(names)}
        if short:
            raise InputError(
                f"{file} has {len(names)} column names and a row of {min(short)} cells; "
                "separate the columns by tabs or commas, so that an empty cell is seen"
            )
        return [cell.strip() for cell in cells]
    if any(row.count(delimiter) + 1 >= len(names) for row in rows) or not rows:
        return [cell.strip() for cell in cells]
    surplus = len(names) - max(row.count(delimiter) + 1 for row in rows)
    inside = [place for place, cell in enumerate(cells) if place and cell != cell.lstrip() and cell.strip()]
    if len(inside) != surplus:
        raise InputError(
            f"{file} has {len(names)} column names and rows of {len(names) - surplus} cells at most; "
            f"quote a name that has '{delimiter}' in it, or end the rows with '{delimiter}' for each empty cell"
        )
    joined = [f"{cells[place - 1].strip()}{delimiter}{cells[place].rstrip()}" for place in inside]
    for place, name in reversed(list(zip(inside, joined, strict=True))):
        names[place - 1 : place + 1] = [name]
    log.warning("%s: %s is taken as one column name; quote it", file, " and ".join(map(shown, joined)))
    return names


def _parsed(
    text: str, names: list[str], delimiter: str | None, file: Path, missing: list[str], **options: object
) -> pd.DataFrame:
    """Return the rows below the names; `missing` stands for no value, `options` are those of `pandas.read_csv`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(text),
                sep=delimiter or r"\s+",
                names=names,
                header=None,
                index_col=False,
                skipinitialspace=True,
                keep_default_na=False,
                na_values=missing,
                low_memory=False,
                **options,
            )
    except (ValueError, OverflowError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise InputError(f"{file} is no table with the columns {listed(names)}: {shown(error, 200)}") from error


def _as_written(cell: str) -> str | None:
    return cell.strip() or None


def _with_decimal_commas(written: pd.DataFrame, columns: list[str]) -> dict[str, pd.Series]:
    """Return those of the columns that are numbers with decimal commas; none in a table with decimal points."""
    numbers = {}
    for name in columns:
        cells = written[name].str.strip()
        given = cells.notna() & ~cells.isin(NO_NUMBER)
        if given.any() and cells[given].str.fullmatch(DECIMAL_COMMA).all():
            numbers[name] = pd.to_numeric(cells.where(given).str.replace(",", "."))
    if numbers and any(cells.str.fullmatch(DECIMAL_POINT).any() for _, cells in written.items()):
        return {}  # a comma may be one of thousands
    return numbers


def _read_fits(content: bytes, file: Path) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units and dates that astropy does not know
            hdu = next(table_hdus(content), None)
            if hdu is None:
                raise ValueError("it holds no table")
            return _one_value_a_row(Table.read(hdu, format="fits"))
    except Exception as error:  # astropy raises OSError, TypeError, IndexError, ... on damaged files
        raise InputError(f"{file} is not a readable FITS table ({shown(error, 200)})") from error


def _read_ecsv(content: bytes, file: Path) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _one_value_a_row(
                Table.read(content.decode("utf-8-sig").replace("\r\n", "\n"), format="ascii.ecsv")
            )
    except Exception as error:  # as above
        raise InputError(f"{file} is not a readable ECSV table ({shown(error, 200)})") from error


def _read_votable(content: bytes, file: Path) -> pd.DataFrame:
    try:
        check_votable(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _one_value_a_row(Table.read(io.BytesIO(content), format="votable"))
    except Exception as error:  # as above
        raise InputError(f"{file} is not a readable VOTABLE table ({shown(error, 200)})") from error


def check_votable(content: bytes) -> None:
    """Refuse XML that has its content elsewhere, which astropy would fetch, or that grows beyond bounds in memory.

    Raises
    ------
    ValueError, ExpatError
        If it is such, or no XML.
    """
    rows, width, claimed = 0, 0, 0

    def element(name: str, attributes: dict[str, str]) -> None:
        nonlocal rows, width, claimed
        match name.rpartition(":")[2]:
            case "TR":
                rows += 1
            case "FIELD":
                width += math.prod(map(int, re.findall("[0-9]{1,12}", attributes.get("arraysize", ""))))
            case "TABLE":
                claimed += int(attributes.get("nrows", 0))
            case "STREAM" if "href" in attributes:
                raise ValueError("its data are in another place, which is not fetched; save it with the data inside")

    def entity(*_: object) -> None:
        raise ValueError("it declares XML entities; save it without them")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EntityDeclHandler = element, entity
    parser.Parse(content, True)
    if max(rows, claimed) * width * VALUE_BYTES > MOST_BYTES:
        raise ValueError(f"{max(rows, claimed)} rows of {width} values are more than can be read")


def _one_value_a_row(table: Table) -> pd.DataFrame:
    frame = table[[name for name in table.colnames if table[name].ndim == 1]].to_pandas()
    for name in [name for name, column in frame.items() if column.dtype.kind == "O"]:
        frame[name] = frame[name].map(_decoded)  # bytes outside ASCII are left as they are by astropy
    frame.attrs["units"] = {name: str(table[name].unit) for name in frame if table[name].unit is not None}
    return frame


def _decoded(cell: object) -> object:
    if not isinstance(cell, bytes):
        return cell
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell.decode("latin-1")
