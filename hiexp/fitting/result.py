"""What every fit returns."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from hiexp.fitting.measurements import DATA_MEASUREMENTS, MEASUREMENTS
from hiexp.long_tables import is_long, table_parts, write_parquet
from hiexp.mapped import empty_rows, load_rows, save_rows
from hiexp.mapped_tables import GrowingTable, load_table, save_table

if TYPE_CHECKING:
    from astropy.table import Table

GOOD = "ok"
ROWS_AS_TEXT = 4096  # made at a time
MAPPINGS = ("parameters", "meanings", "sample")


@dataclass(frozen=True)
class FitResult:
    """Measurements and line profiles of N objects.

    A value: its arrays are replaced (`dataclasses.replace`), not changed in place, since they may be mapped from
    files that several results share.

    Attributes
    ----------
    table : DataFrame
        One row an object, indexed by id: the columns of `MEASUREMENTS`, the model's parameters, the one-sigma
        errors of both where there are any (``*_err`` from the covariance, ``*_err_mc`` from noise realisations), and
        ``status``: "ok" or what went wrong, and ``flags``: words of `hiexp.fitting.flags.FLAGS`, separated by commas.
    profiles : ndarray, shape (N, n_samples)
        The curve, or the data, over the line window, mJy; NaN throughout where ``status`` is not "ok".
    windows : ndarray, shape (N, 2)
        First and last velocity of each profile's evenly spaced samples, km/s; NaN where there is no profile.
    parameters : mapping of str to str
        Names of the model's parameters and their units; empty where there is no model.
    passes : tuple of DataFrame
        Tables, like `table`, of the passes that went before the last, first to last, without what is measured once.
    meanings : mapping of str to str
        What further columns of `table` are: those that depend on settings, and have no unit.
    sample : mapping of str to float
        What is known of the sample as a whole.
    """

    mapped = True  # read from a cache
    table: pd.DataFrame
    profiles: np.ndarray
    windows: np.ndarray
    parameters: Mapping[str, str] = field(default_factory=dict)
    passes: tuple[pd.DataFrame, ...] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Iterable[FitResult], n: int) -> Self:
        """Return the fits of N objects from those of the first, the next, ... of them, which need not exist together.

        Parameters
        ----------
        parts : iterable of FitResult
            In the order of the objects, at least one; all by one fit.
        n : int
            N.
        """
        tables: list[GrowingTable] = []
        start = 0
        for part in parts:
            if not tables:
                tables = [GrowingTable(n) for _ in (part.table, *part.passes)]
                profiles = empty_rows((n, *part.profiles.shape[1:]), part.profiles.dtype)
                windows = empty_rows((n, *part.windows.shape[1:]), part.windows.dtype)
            for table, rows in zip(tables, (part.table, *part.passes), strict=True):
                table.add(rows)
            here = slice(start, start + len(part.table))
            profiles[here], windows[here] = part.profiles, part.windows
            start = here.stop
        table, *passes = (whole.table() for whole in tables)
        return cls(table, profiles, windows, part.parameters, tuple(passes), part.meanings, part.sample)

    def take(self, rows: slice) -> Self:
        """Return the fits of some of the objects, without the passes that went before."""
        profiles, windows = self.profiles[rows], self.windows[rows]
        return replace(self, table=self.table.iloc[rows], profiles=profiles, windows=windows, passes=())

    def without_profiles(self) -> Self:
        """Return the fits without what is neither a table nor small."""
        return replace(self, profiles=self.profiles[:, :0], windows=self.windows[:, :0], passes=())

    @property
    def good(self) -> np.ndarray:
        """Objects with a profile, bool, shape (N,)."""
        return (self.table["status"] == GOOD).to_numpy()

    def failures(self) -> pd.DataFrame:
        """Return the objects without a profile, in the columns of `Spectra.skipped`."""
        failed = self.table.loc[~self.good, "status"]
        return pd.DataFrame({"name": failed.index, "reason": failed.to_numpy()})

    def metrics(self) -> dict[str, float]:
        """Return the numbers to compare fits by: counts, and the median of ``chi2_dof`` where there is a model."""
        numbers = {"n_spectra": len(self.table), "n_good": int(self.good.sum()), "n_failed": int((~self.good).sum())}
        median = self.table.loc[self.good, "chi2_dof"].median() if self.good.any() else np.nan
        return numbers | ({"median_chi2_dof": float(median)} if np.isfinite(median) else {}) | dict(self.sample)

    def with_units(self, table: pd.DataFrame | None = None) -> Table:
        """Return `table`, or one of `passes`, as an astropy Table with the unit of every column that has one."""
        from astropy.table import Table

        rows = MEASUREMENTS | DATA_MEASUREMENTS
        units = {name: row.unit for name, row in rows.items()} | dict(self.parameters)
        meanings = {name: row.meaning for name, row in rows.items()} | dict(self.meanings)
        units |= {f"{name}_{error}": unit for name, unit in units.items() for error in ("err", "err_mc")}
        frame = (self.table if table is None else table).reset_index()
        # Not by Table.from_pandas: its masks of NaN become columns of their own in Parquet.
        columns = {
            name: values.fillna("").to_numpy(dtype=str) if pd.api.types.is_string_dtype(values) else values.to_numpy()
            for name, values in frame.items()
        }
        return Table(
            columns,
            units={name: units[name] for name in columns if units.get(name)},
            descriptions={name: meanings[name] for name in columns if name in meanings},
        )

    def write(self, folder: Path) -> None:
        """Write the table as ``fits.ecsv`` and ``fits.parquet``, earlier passes as ``fits_pass1.parquet``, ...

        A long table (`is_long`) is written as Parquet alone.
        """
        if not is_long(len(self.table)):
            self._write_ecsv(folder / "fits.ecsv")
        self._write_parquet(self.table, folder / "fits.parquet")
        for number, earlier in enumerate(self.passes, start=1):
            self._write_parquet(earlier, folder / f"fits_pass{number}.parquet")

    def _write_ecsv(self, file: Path) -> None:
        """Write the table as text, some rows at a time: astropy takes several kilobytes of memory a row."""
        with file.open("w", encoding="utf-8", newline="") as stream:
            for start in range(0, max(len(self.table), 1), ROWS_AS_TEXT):
                text = io.StringIO()
                self.with_units(self.table.iloc[start : start + ROWS_AS_TEXT]).write(text, format="ascii.ecsv")
                lines = text.getvalue().splitlines(keepends=True)
                # Only the first of them has the header, and below it the names of the columns.
                header = sum(1 for _ in itertools.takewhile(lambda line: line.startswith("#"), lines))
                stream.writelines(lines[header + 1 :] if start else lines)

    def _write_parquet(self, table: pd.DataFrame, file: Path) -> None:
        """Write a table with its units, a long one part by part."""
        if not is_long(len(table)):
            self.with_units(table).write(file)
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Astropy's own description of the columns, from rows that have the longest of all texts: it has their length.
        texts = [column for _, column in table.reset_index().items() if pd.api.types.is_string_dtype(column)]
        longest = np.unique([0, *(column.fillna("").str.len().to_numpy().argmax() for column in texts)])
        self.with_units(table.iloc[longest]).write(file)
        schema = pq.read_schema(file)

        def parts() -> Iterator[pa.Table]:
            for rows in table_parts(table):
                part = self.with_units(rows)
                columns = [pa.array(np.asarray(part[field.name]), type=field.type) for field in schema]
                yield pa.Table.from_arrays(columns, schema=schema)

        write_parquet(file, schema, parts())

    def save(self, folder: Path) -> None:
        """Write everything into an empty folder, for `load`."""
        save_rows(folder / "profiles.npy", self.profiles)
        save_rows(folder / "windows.npy", self.windows)
        for number, table in enumerate((self.table, *self.passes)):
            save_table(table, folder, f"table{number}")
        mappings = {name: dict(getattr(self, name)) for name in MAPPINGS}
        (folder / "mappings.json").write_text(json.dumps(mappings))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; numbers come from the disk as they are used."""
        names = sorted(
            (file.stem for file in folder.glob("table*.json")), key=lambda name: int(name.removeprefix("table"))
        )
        table, *passes = (load_table(folder, name) for name in names)
        return cls(
            table=table,
            profiles=load_rows(folder / "profiles.npy", len(table)),
            windows=load_rows(folder / "windows.npy", len(table)),
            passes=tuple(passes),
            **json.loads((folder / "mappings.json").read_text()),
        )
