"""How fits are written: tables with units that other programs read back."""

import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.table import Table

from hiexp.datasets import mock_cig
from hiexp.fitting import FitResult, fit_none
from hiexp.fitting.result import MEASUREMENTS


def result(n, **columns):
    """N objects whose columns are of every kind that a fit may have; the first has no fit."""
    values = np.arange(float(n))
    values[:1] = np.nan
    table = pd.DataFrame(
        dict.fromkeys(MEASUREMENTS, values)
        | {"peak": values, "peak_err": values / 10, "iterations": np.arange(n), "converged": np.arange(n) > 0}
        | {"status": np.where(np.arange(n) == 0, "no emission found", "ok")}
        | columns,
        index=pd.Index([f"{i:06d}" for i in range(n)], name="id", dtype=str),
    )
    return FitResult(table, np.zeros((n, 8)), np.zeros((n, 2)), {"peak": "mJy"})


@pytest.mark.parametrize("form", ["ecsv", "parquet"])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_written_table_has_its_units_and_values(tmp_path, n, form):
    fit = result(n)
    fit.write(tmp_path)
    table = Table.read(tmp_path / f"fits.{form}")
    assert table.colnames == ["id", *fit.table.columns]
    assert table["w50"].unit == units.km / units.s
    assert table["flux_int"].unit == units.Jy * units.km / units.s
    assert table["mse"].unit == units.mJy**2
    assert table["peak"].unit == table["peak_err"].unit == units.mJy
    assert table["snr"].unit is None
    assert [table[name].dtype.kind for name in ("id", "w50", "iterations", "converged", "status")] == list("UfibU")
    assert list(table["id"]) == list(fit.table.index)
    assert list(table["status"]) == list(fit.table["status"])
    np.testing.assert_array_equal(table["w50"], fit.table["w50"])
    np.testing.assert_array_equal(table["iterations"], fit.table["iterations"])


def test_pandas_reads_the_same_columns_from_parquet(tmp_path):
    fit = fit_none(mock_cig(n_galaxies=5))
    fit.write(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "fits.parquet").set_index("id"), fit.table)


def test_texts_that_are_missing_are_empty(tmp_path):
    fit = result(2, note=[None, "blended"])
    fit.write(tmp_path)
    for file in ("fits.ecsv", "fits.parquet"):
        assert Table.read(tmp_path / file)["note"].tolist() in (["", "blended"], [None, "blended"])
    assert pd.read_parquet(tmp_path / "fits.parquet")["note"].tolist() == ["", "blended"]


def test_earlier_passes_have_files_of_their_own(tmp_path):
    last = result(3)
    fit = FitResult(last.table, last.profiles, last.windows, last.parameters, (last.table[:1], last.table[:2]))
    fit.write(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        *("fits.ecsv", "fits.parquet", "fits_pass1.parquet", "fits_pass2.parquet")
    ]
    assert [len(Table.read(tmp_path / f"fits_pass{number}.parquet")) for number in (1, 2)] == [1, 2]
    assert Table.read(tmp_path / "fits_pass1.parquet")["peak"].unit == units.mJy


def test_the_numbers_to_compare_fits_by():
    assert result(5).metrics() == {"n_spectra": 5, "n_good": 4, "n_failed": 1, "median_chi2_dof": 2.5}
    assert "median_chi2_dof" not in fit_none(mock_cig(n_galaxies=5)).metrics()
    assert result(1).metrics() == {"n_spectra": 1, "n_good": 0, "n_failed": 1}
