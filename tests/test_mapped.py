"""What is worked on part by part, and mapped from files, is what it is in memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hiexp import mapped
from hiexp.cache import DiskCache
from hiexp.datasets import mock_alfalfa
from hiexp.features import ProfileAsymmetry, RawProfile, unit_range
from hiexp.fitting import FitResult, fit_busy, fit_none, fit_whole, measure_data
from hiexp.mapped import empty_rows, in_parts, load_rows, rows_taken, save_rows
from hiexp.mapped_tables import GrowingTable, load_table, save_table
from hiexp.spectra import Spectra

CHANNELS = ("velocity", "flux", "valid", "rms", "systemic")
profiles = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(-99, 99).map(lambda n: n / 7)
)


@pytest.fixture
def small_parts(monkeypatch):
    """Map what is larger than a few numbers, and work on three rows at a time."""
    monkeypatch.setattr(mapped, "LARGE", 64)
    monkeypatch.setattr(mapped, "PART", 3)


def in_small_parts(make):
    """Return what `make` returns with arrays mapped and three rows worked on at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "LARGE", 64)
        patch.setattr(mapped, "PART", 3)
        return make()


@given(profiles)
def test_scaling_in_parts_is_scaling_of_the_whole(values):
    whole = unit_range(values)
    parts = in_small_parts(lambda: unit_range(values))
    assert parts.dtype == whole.dtype
    np.testing.assert_array_equal(parts, whole)
    peak = RawProfile("peak")
    np.testing.assert_array_equal(in_small_parts(lambda: peak.transform(values)), peak.transform(values))


@given(profiles, st.data())
def test_rows_taken_are_those_rows(values, data):
    which = data.draw(arrays(bool, len(values)))
    np.testing.assert_array_equal(in_small_parts(lambda: rows_taken(values, which)), values[which])
    np.testing.assert_array_equal(
        in_small_parts(lambda: rows_taken(values, np.flatnonzero(which)[::-1])), values[which][::-1]
    )


def test_asymmetry_in_parts_is_that_of_the_whole(monkeypatch):
    monkeypatch.setattr(mapped, "PART", 32)
    values = np.random.default_rng(1).normal(1, 0.3, (70, 40)).astype(np.float32)
    measure = ProfileAsymmetry()
    np.testing.assert_array_equal(in_parts(measure.transform, values), measure.transform(values))


def test_a_file_is_shared_with_what_is_stored_and_goes_when_nobody_needs_it(tmp_path, small_parts):
    with mapped.arrays_in(tmp_path / "made"):
        rows = empty_rows((10, 10), np.float32)
    rows[:] = np.arange(100).reshape(10, 10)
    (made,) = (tmp_path / "made").iterdir()
    save_rows(tmp_path / "rows.npy", rows)
    assert made.stat().st_ino == (tmp_path / "rows.npy").stat().st_ino
    kept = rows.copy()
    del rows
    assert not made.exists()
    np.testing.assert_array_equal(load_rows(tmp_path / "rows.npy", 10), kept)


def test_what_is_read_may_be_changed_in_memory_alone(tmp_path):
    save_rows(tmp_path / "rows.npy", np.arange(6.0).reshape(3, 2))
    rows = load_rows(tmp_path / "rows.npy", 3)
    rows[1] = 9
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), np.arange(6.0).reshape(3, 2))


@pytest.mark.parametrize("n", [1, 2, 700])
def test_rows_that_are_alike_are_stored_once(tmp_path, n):
    alike = np.tile(np.linspace(0, 1, 30), (n, 1))
    save_rows(tmp_path / "alike.npy", alike)
    np.testing.assert_array_equal(load_rows(tmp_path / "alike.npy", n), alike)
    assert np.load(tmp_path / "alike.npy").shape == (1, 30)
    if n > 1:
        alike[-1, -1] = np.nextafter(1, 2)
        save_rows(tmp_path / "unlike.npy", alike)
        np.testing.assert_array_equal(load_rows(tmp_path / "unlike.npy", n), alike)


def test_a_table_put_together_from_parts_is_the_table(tmp_path, small_parts):
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {"a": rng.normal(size=11), "word": list("abcdefghijk"), "b": rng.normal(size=11), "n": np.arange(11)},
        index=pd.Index([f"M{row}" for row in range(11)], name="id"),
    )
    growing = GrowingTable(11)
    for start in range(0, 11, 4):
        growing.add(table.iloc[start : start + 4])
    pd.testing.assert_frame_equal(growing.table(), table, check_exact=True)
    save_table(growing.table(), tmp_path, "table")
    pd.testing.assert_frame_equal(load_table(tmp_path, "table"), table, check_exact=True)


def same_spectra(one, other):
    np.testing.assert_array_equal(one.ids, other.ids)
    for name in CHANNELS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    pd.testing.assert_frame_equal(one.catalogue, other.catalogue, check_exact=True)


def same_fit(one, other):
    pd.testing.assert_frame_equal(one.table, other.table, check_exact=True)
    np.testing.assert_array_equal(one.profiles, other.profiles)
    np.testing.assert_array_equal(one.windows, other.windows)
    for earlier, again in zip(one.passes, other.passes, strict=True):
        pd.testing.assert_frame_equal(earlier, again, check_exact=True)


def test_a_sample_on_disk_is_fitted_as_one_in_memory(small_parts, monkeypatch):
    def everything():
        spectra = mock_alfalfa(12, n_channels=256)
        none = fit_none(spectra, n_samples=16)
        return spectra, none, fit_whole(spectra), measure_data(spectra, none, realisations=2), fit_busy(spectra)

    mapped_spectra, *mapped_fits = everything()
    assert isinstance(mapped_spectra.flux.base, np.memmap)
    monkeypatch.undo()
    spectra, *fits = everything()
    assert not isinstance(spectra.flux.base, np.memmap)
    same_spectra(mapped_spectra, spectra)
    for one, other in zip(mapped_fits, fits, strict=True):
        same_fit(one, other)


def test_a_cache_gives_back_what_it_has_written(tmp_path, small_parts):
    cache = DiskCache(str(tmp_path))
    spectra = cache.recall("dataset", Spectra, (1,), lambda: mock_alfalfa(6, n_channels=256))
    fit = cache.recall("fit", FitResult, (1,), lambda: fit_none(spectra, n_samples=16))
    (entry,) = tmp_path.glob("dataset-*")
    assert Path(spectra.flux.base.filename) == entry / "flux.npy"
    assert not list(tmp_path.glob(".*.partial"))
    same_spectra(spectra, mock_alfalfa(6, n_channels=256))
    same_fit(fit, fit_none(spectra, n_samples=16))
    again = cache.recall("fit", FitResult, (1,), lambda: pytest.fail("it is known"))
    same_fit(again, fit)
