"""What every fit returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from hiexp.fitting.measurements import DATA_MEASUREMENTS, MEASUREMENTS

if TYPE_CHECKING:
    from astropy.table import Table

GOOD = "ok"
MAPPINGS = ("parameters", "meanings", "sample")


@dataclass(frozen=True)
class FitResult:
    """Measurements and line profiles of N objects.

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

    table: pd.DataFrame
    profiles: np.ndarray
    windows: np.ndarray
    parameters: Mapping[str, str] = field(default_factory=dict)
    passes: tuple[pd.DataFrame, ...] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, float] = field(default_factory=dict)

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
        """Write the table as ``fits.ecsv`` and ``fits.parquet``, earlier passes as ``fits_pass1.parquet``, ..."""
        table = self.with_units()
        table.write(folder / "fits.ecsv")
        table.write(folder / "fits.parquet")
        for number, earlier in enumerate(self.passes, start=1):
            self.with_units(earlier).write(folder / f"fits_pass{number}.parquet")

    def save(self, folder: Path) -> None:
        """Write everything into an empty folder, for `load`."""
        np.save(folder / "profiles.npy", self.profiles)
        np.save(folder / "windows.npy", self.windows)
        for number, table in enumerate((self.table, *self.passes)):
            table.to_parquet(folder / f"table{number}.parquet")
        mappings = {name: dict(getattr(self, name)) for name in MAPPINGS}
        (folder / "mappings.json").write_text(json.dumps(mappings))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        tables = sorted(folder.glob("table*.parquet"), key=lambda file: int(file.stem.removeprefix("table")))
        table, *passes = map(pd.read_parquet, tables)
        return cls(
            table=table,
            profiles=np.load(folder / "profiles.npy"),
            windows=np.load(folder / "windows.npy"),
            passes=tuple(passes),
            **json.loads((folder / "mappings.json").read_text()),
        )
