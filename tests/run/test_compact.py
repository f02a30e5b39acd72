"""Lines and features in few bytes an object."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hiexp.datasets import mock_cig
from hiexp.errors import InputError
from hiexp.evaluation.training_sample import TrainingSample, line_quantities
from hiexp.features import DiscImage, RawProfile
from hiexp.fitting import fit_none
from hiexp.run import compact
from hiexp.run.compact import SAMPLES, CompactLines, FeaturePlaces, rebinned


@pytest.fixture(scope="module")
def sample():
    spectra = mock_cig(n_galaxies=30, seed=2)
    return spectra, fit_none(spectra, n_samples=200)


def decoded(codes, limits):
    low, high = limits
    return np.where(codes == 0, np.nan, low + (high - low) * (codes.astype(float) - 1) / 254)


def test_a_mean_over_samples_conserves_flux():
    velocity = np.array([0.0, 10, 20, 40, 50])
    flux, valid = np.array([1.0, 3, 5, 7, 100]), np.array([True, True, True, True, False])
    # Channels reach from border to border: -5, 5, 15, 30, 45, 55.
    np.testing.assert_allclose(rebinned(velocity, flux, valid, np.array([-5.0, 5, 15, 30, 45])), [1, 3, 5, 7])
    np.testing.assert_allclose(rebinned(velocity, flux, valid, np.array([-5.0, 15, 45])), [2, (5 * 15 + 7 * 15) / 30])
    np.testing.assert_allclose(rebinned(velocity, flux, valid, np.array([6.0, 8, 14])), [3, 3])  # of one channel
    # A channel that is not valid counts for nothing, and where there is no other there is no value.
    np.testing.assert_allclose(rebinned(velocity, flux, valid, np.array([40.0, 50, 55, 90])), [7, np.nan, np.nan])


def test_lines_are_spectrum_and_profile_within_the_steps_of_a_byte(sample, tmp_path):
    spectra, fit = sample
    lines = CompactLines.of(spectra, fit)
    lines.write(tmp_path / "profiles.parquet")
    read = CompactLines.read(tmp_path / "profiles.parquet")
    assert read.model is lines.model is False
    for name in ("ids", "ends", "limits", "data", "curves"):
        np.testing.assert_array_equal(getattr(read, name), getattr(lines, name))
    rows = np.flatnonzero(fit.good)
    assert read.ids.tolist() == spectra.ids[rows].tolist()
    for place, row in enumerate(rows):
        along = np.linspace(*read.ends[place], SAMPLES)
        step = np.ptp(read.limits[place]) / 254
        window = np.linspace(*fit.windows[row], fit.profiles.shape[1])
        inside = (along >= window[0]) & (along <= window[-1])
        curve = decoded(read.curves[place], read.limits[place])
        assert np.isnan(curve[~inside]).all()
        assert np.abs(curve - np.interp(along, window, fit.profiles[row]))[inside].max() < 0.51 * step + 1e-3
        half = (along[1] - along[0]) / 2
        edges = np.append(along - half, along[-1] + half)
        data = rebinned(spectra.velocity[row], spectra.flux[row], spectra.valid[row], edges)
        np.testing.assert_allclose(
            decoded(read.data[place], read.limits[place]), data, atol=0.52 * step + 1e-2 * np.nanmax(np.abs(data))
        )
        assert np.ptp(along) / np.ptp(window) == pytest.approx(1.5 * 63 / 64, rel=1e-4)


def test_a_fit_without_good_lines_has_none(sample, tmp_path):
    spectra, fit = sample
    failed = replace(fit, table=fit.table.assign(status="no line"))
    assert CompactLines.of(spectra, failed).data.shape == (0, SAMPLES)


def test_places_are_the_coordinates_of_the_training_sample(sample, tmp_path, monkeypatch):
    spectra, fit = sample
    rows = np.flatnonzero(fit.good)
    quantities = line_quantities(spectra, fit).iloc[rows]
    images = DiscImage(size=8).fit_transform(fit.profiles[rows])
    training = TrainingSample.of(images, quantities)
    places = FeaturePlaces.of(spectra.ids[rows], images, training)
    places.write(tmp_path / "features.parquet")
    read = FeaturePlaces.read(tmp_path / "features.parquet")
    np.testing.assert_array_equal(read.coordinates, training.points)  # of all, for all were trained on
    assert (read.n_features, read.limits, read.left_out) == (64, (-1.0, 1.0), False)
    np.testing.assert_allclose(read.images[..., 0] / 255 * 2 - 1, images[:, 0], atol=0.51 * 2 / 255)

    monkeypatch.setattr(compact, "MOST_PIXELS", 64 * len(rows) - 1)
    FeaturePlaces.of(spectra.ids[rows], images, training).write(tmp_path / "features.parquet")
    read = FeaturePlaces.read(tmp_path / "features.parquet")
    assert read.images is None
    assert read.left_out

    series = RawProfile().fit_transform(fit.profiles[rows])
    places = FeaturePlaces.of(spectra.ids[rows], series, TrainingSample.of(series, quantities))
    assert places.images is None
    assert not places.left_out


def test_what_is_no_such_table_is_refused(sample, tmp_path):
    file = tmp_path / "profiles.parquet"
    CompactLines.of(*sample).write(file)
    content = file.read_bytes()
    with pytest.raises(InputError, match=r"features\.parquet cannot be read"):
        FeaturePlaces.read(tmp_path / "features.parquet")
    with pytest.raises(InputError, match=r"profiles.parquet is damaged.*coordinates"):
        FeaturePlaces.read(file)
    for damaged in (b"", content[:-9], content[: len(content) // 2], b"PAR1" + bytes(200) + b"PAR1"):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=r"profiles\.parquet is damaged"):
            CompactLines.read(file)
    pd.DataFrame({"id": ["one", "two"]}).to_parquet(file)
    with pytest.raises(InputError, match=r"profiles\.parquet is damaged"):
        CompactLines.read(file)
    lines = CompactLines.of(*sample)
    for change in (
        {"ids": np.full_like(lines.ids, "same")},
        {"data": lines.data[:, :9]},
        {"limits": lines.limits * np.nan},
        {"ends": lines.ends.astype(float)},
    ):
        replace(lines, **change).write(file)
        with pytest.raises(InputError, match=r"profiles\.parquet is damaged"):
            CompactLines.read(file)
