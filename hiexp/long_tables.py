"""Tables that people read: text, and Parquet in its stead where they are too long for that.

Text of a million rows takes minutes and gigabytes to write and to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.csv_tables import write_csv

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_ROWS_OF_TEXT = 200_000  # of a table that is written as text
GROUP = 1 << 16  # rows of a row group
PARQUET = ".parquet"


def is_long(n_rows: int) -> bool:
    """Tell whether a table has too many rows for text."""
    return n_rows > MOST_ROWS_OF_TEXT


def write_table(table: pd.DataFrame, file: Path, *, index: bool = False) -> Path:
    """Write a table as CSV, a long one (`is_long`) as Parquet in its stead, and return the file.

    Parameters
    ----------
    table : DataFrame
        May have a named index.
    file : Path
        The CSV.
    index : bool
        Whether to write the index, too.
    """
    if not is_long(len(table)):
        write_csv(table, file, index=index)
        return file
    import pyarrow as pa

    file = file.with_suffix(PARQUET)
    schema = pa.Schema.from_pandas(table, preserve_index=index)
    write_parquet(
        file, schema, (pa.Table.from_pandas(part, schema, preserve_index=index) for part in table_parts(table))
    )
    return file


def table_name(name: str, n_rows: int) -> str:
    """Return what `write_table` calls a table of so many rows that is a CSV by its name."""
    return in_stead(name) if is_long(n_rows) else name


def in_stead(name: str) -> str:
    """Return what a long table is called that is a CSV by its name."""
    return str(Path(name).with_suffix(PARQUET))


def table_parts(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield a table in parts of as many rows as a row group of Parquet has."""
    return (table.iloc[start : start + GROUP] for start in range(0, len(table), GROUP))


def write_parquet(file: Path, schema: pa.Schema, parts: Iterable[pa.Table]) -> None:
    """Write a Parquet file, a row group a part, so that no more than one part is in memory."""
    from pyarrow.parquet import ParquetWriter

    with ParquetWriter(file, schema, version="2.4") as writer:
        for part in parts:
            writer.write_table(part)


def written_table(file: Path) -> Path:
    """Return where the table is that `write_table` was to write: the CSV, or the Parquet in its stead."""
    long = file.with_suffix(PARQUET)
    return long if not file.exists() and long.exists() else file
