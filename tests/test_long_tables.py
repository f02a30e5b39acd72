"""Tables of very many rows are Parquet alone, and whoever reads a run finds them."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

from hiexp import long_tables, writing
from hiexp.datasets import mock_cig
from hiexp.fitting import fit_busy
from hiexp.long_tables import write_table, written_table
from hiexp.run.reading import read_predictions
from hiexp.run.sample import write_sample


@pytest.fixture(scope="module")
def sample():
    spectra = mock_cig(9)
    return spectra, fit_busy(spectra, n_samples=20)


@pytest.fixture
def all_long(monkeypatch):
    monkeypatch.setattr(long_tables, "MOST_ROWS_OF_TEXT", 5)
    monkeypatch.setattr(long_tables, "GROUP", 4)


def test_a_long_sample_is_parquet_alone_and_says_the_same(tmp_path, sample, all_long, monkeypatch):
    (tmp_path / "long").mkdir()
    write_sample(*sample, tmp_path / "long")
    monkeypatch.undo()
    (tmp_path / "short").mkdir()
    write_sample(*sample, tmp_path / "short")
    names = {file.name for file in (tmp_path / "long").iterdir()}
    assert names == {"catalogue.parquet", "fits.parquet", "fits_pass1.parquet", "fits_pass2.parquet", "plots"}
    one, other = (Table.read(tmp_path / name / "fits.parquet") for name in ("long", "short"))
    assert one.colnames == other.colnames
    for name in one.colnames:
        assert (one[name].unit, one[name].dtype, one[name].description) == (
            other[name].unit,
            other[name].dtype,
            other[name].description,
        )
        np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]))
    catalogue = pd.read_parquet(tmp_path / "long" / "catalogue.parquet")
    pd.testing.assert_frame_equal(catalogue, sample[0].catalogue, check_exact=True)


def test_long_predictions_are_read_as_short_ones_are(tmp_path, all_long, monkeypatch):
    table = pd.DataFrame(
        {
            "id": [f"={row}" for row in range(9)],
            "split": ["train", "test", "test"] * 3,
            "reference": pd.array([0, 1, None] * 3, dtype="Int64"),
            "label": pd.array([0, 1, 2] * 3, dtype="Int64"),
            "predicted": [0, 1, 2] * 3,
        }
    )
    long = write_table(table, tmp_path / "predictions.csv")
    assert long.name == "predictions.parquet"
    assert written_table(tmp_path / "predictions.csv") == long
    monkeypatch.undo()
    found = read_predictions(long)
    short = write_table(table, tmp_path / "predictions.csv")
    assert written_table(tmp_path / "predictions.csv") == short
    again = read_predictions(short)
    assert found.keys() == again.keys()
    for name, values in again.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_large_parquet_is_not_there_twice_and_nothing_else_is_shared(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "SHARED_FROM", 10)
    for name in ("table.parquet", "table.csv", "small.parquet"):
        (tmp_path / name).write_bytes(b"small" if name.startswith("small") else b"a longer content")
        writing.copy(tmp_path / name, tmp_path / f"again_{name}")
        assert (tmp_path / f"again_{name}").read_bytes() == (tmp_path / name).read_bytes()
    for name in ("table.csv", "small.parquet"):
        (tmp_path / name).write_bytes(b"edited")
        assert (tmp_path / f"again_{name}").read_bytes() != b"edited"
    large = tmp_path / "again_table.parquet"
    if large.samefile(tmp_path / "table.parquet"):  # a disk that cannot clone
        assert not large.stat().st_mode & 0o222
