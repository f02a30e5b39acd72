"""A sky like a sample: its lines, noise and channels, and what the sample may be given as."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from hiexp.datasets import mock_cig, mock_like
from hiexp.datasets.mock.alike import draw_alike
from hiexp.datasets.mock.noise import smoothed_noise
from hiexp.datasets.mock.populations import Discs
from hiexp.datasets.mock.smoothing import HANNING, correlation_error, gaussian_smoothing, next_correlation
from hiexp.errors import InputError
from hiexp.fitting import fit_none

N_CHANNELS = 512
LINES = pd.DataFrame(
    {
        "position": [1500.0, 4000.0, 8000.0, 12000.0],
        "w50": [40.0, 120.0, 250.0, 420.0],
        "snr": [400.0, 300.0, 200.0, 500.0],
        "rms": [0.5, 1.0, 2.0, 4.0],
        "channel_width": [2.6, 5.3, 8.0, 5.2],
        "noise_correlation": [0.0, 0.3, 0.5, 2 / 3],
    },
    index=pd.Index(["a", "b", "c", "d"], name="id"),
)
FIT = partial(fit_none, n_samples=20)


def no_fit(spectra):
    raise AssertionError("a table of fits is there")


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The folder of a run: fits of forty galaxies."""
    folder = tmp_path_factory.mktemp("run")
    FIT(mock_cig(40, n_channels=N_CHANNELS)).write(folder)
    return folder


def written(folder, table):
    table.to_parquet(folder / "fits.parquet")
    return str(folder)


def test_a_run_and_its_tables_are_the_same_sample(sample):
    skies = [mock_like(str(place), no_fit, 12) for place in (sample, sample / "fits.parquet", sample / "fits.ecsv")]
    assert set(skies[0].catalogue["like"]) <= {f"M{number:04d}" for number in range(1, 41)}
    for sky in skies[1:]:
        np.testing.assert_allclose(sky.flux, skies[0].flux, rtol=1e-5, atol=1e-5)
        assert list(sky.catalogue["like"]) == list(skies[0].catalogue["like"])


def test_spectra_are_fitted_first(tmp_path):
    spectra = mock_cig(3, snr_min=30.0)
    for name, velocity, flux in zip(spectra.ids, spectra.velocity, spectra.flux, strict=True):
        rows = np.column_stack([velocity, flux])
        np.savetxt(tmp_path / f"{name}.txt", rows, header="velocity[km/s] flux[mJy]", comments="")
    sky = mock_like(str(tmp_path), FIT, 6)
    assert set(sky.catalogue["like"]) == set(spectra.ids)
    known = sky.catalogue.set_index("like")["Vhel"]
    assert known[spectra.ids].to_numpy() == pytest.approx(np.repeat(spectra.catalogue["Vhel"].to_numpy(), 2), abs=20)


def test_a_sky_follows_from_its_seed(sample):
    one, again, other = (mock_like(str(sample), FIT, 10, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.flux, again.flux)
    pd.testing.assert_frame_equal(one.catalogue, again.catalogue)
    assert not np.array_equal(one.catalogue["like"], other.catalogue["like"])


def test_every_line_is_drawn_before_one_is_drawn_again(sample):
    like = mock_like(str(sample), FIT, 60).catalogue["like"]
    assert set(like.value_counts()) <= {1, 2}


def test_channels_and_noise_are_those_of_the_lines(tmp_path):
    sky = mock_like(written(tmp_path, LINES.assign(w50_err=1.0)), no_fit, 40, n_channels=N_CHANNELS)
    asked = LINES.loc[sky.catalogue["like"]]
    steps = np.median(np.diff(sky.velocity, axis=1), axis=1)
    assert np.abs(steps) == pytest.approx(asked["channel_width"].to_numpy(), rel=0.05)
    assert sky.rms == pytest.approx(asked["rms"].to_numpy())
    beside = np.abs(sky.velocity - sky.systemic[:, None]) > 450
    noise = np.where(beside, sky.flux, np.nan)
    assert np.nanstd(noise, axis=1) == pytest.approx(sky.rms, rel=0.25)
    next_one = np.nanmean(noise[:, 1:] * noise[:, :-1], axis=1) / np.nanvar(noise, axis=1)
    measured = pd.Series(next_one).groupby(asked.index.to_numpy()).mean()
    assert measured.to_numpy() == pytest.approx(LINES["noise_correlation"].to_numpy(), abs=0.06)
    assert sky.systemic == pytest.approx(asked["position"].to_numpy())


def test_lines_are_as_wide_and_as_bright_as_asked():
    lines = LINES.iloc[np.arange(80) % len(LINES)].reset_index(drop=True)
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    galaxies, _, _ = draw_alike(*rngs, lines, Discs(0.4, 0.06, 0.3), N_CHANNELS)
    assert galaxies.truth["W50"].to_numpy() == pytest.approx(lines["w50"].to_numpy(), rel=0.035)


def test_a_fit_finds_the_brightness_asked_for(tmp_path):
    sky = mock_like(written(tmp_path, LINES), no_fit, 40, n_channels=N_CHANNELS)
    found = FIT(sky).table
    asked = LINES.loc[sky.catalogue["like"]]
    ratio = pd.Series(found["snr"].to_numpy() / asked["snr"].to_numpy()).groupby(asked.index.to_numpy()).median()
    assert ratio.to_numpy() == pytest.approx(1, abs=0.15)
    assert found["w50"].to_numpy() == pytest.approx(sky.catalogue["W50"].to_numpy(), rel=0.15)


def test_errors_of_measurement_are_not_counted_twice(tmp_path):
    """A sample of equal galaxies, measured badly, is no sample of unlike galaxies."""
    n, rng = 400, np.random.default_rng(0)
    w50 = 200 * np.exp(rng.normal(0, 0.2, n))
    lines = pd.DataFrame({name: np.repeat(LINES[name].iloc[1], n) for name in LINES})
    lines = lines.assign(w50=w50, w50_err=0.2 * w50, snr=5.0)
    sky = mock_like(written(tmp_path, lines), no_fit, 100, n_channels=64)
    assert np.log(sky.catalogue["W50"]).std() < 0.1
    without = mock_like(written(tmp_path, lines.drop(columns="w50_err")), no_fit, 100, n_channels=64)
    assert np.log(without.catalogue["W50"]).std() > 0.15


def test_a_sky_can_hardly_be_told_from_its_sample(tmp_path):
    """A boosted classifier, shown a half of the sample that the sky was not drawn from."""
    columns = ["w50", "snr", "rms", "channel_width"]
    spectra = mock_cig(1200, n_channels=N_CHANNELS)
    drawn, kept = spectra.take(np.arange(1200) < 600), spectra.take(np.arange(1200) >= 600)
    FIT(drawn).write(tmp_path)
    mock = FIT(mock_like(str(tmp_path), no_fit, 600, n_channels=N_CHANNELS))
    real = FIT(kept)
    rows = pd.concat([fit.table.loc[fit.good, columns] for fit in (real, mock)])
    truth = np.repeat([0, 1], [real.good.sum(), mock.good.sum()])
    order = np.random.default_rng(0).permutation(len(rows))
    classifier = HistGradientBoostingClassifier(random_state=0)
    known = cross_val_predict(classifier, rows.to_numpy()[order], truth[order], cv=5, method="predict_proba")
    assert roc_auc_score(truth[order], known[:, 1]) < 0.58  # 0.5 +- 0.017 where nothing tells them apart


FAULTS = {
    "no rms": (LINES.drop(columns="rms"), "its table has no column rms, but .*python -m hiexp.fit"),
    "no usable line": (LINES.assign(status="no line found"), "none of its 4 lines has a fit with W50, S/N and rms"),
    "no noise": (LINES.assign(rms=np.nan), "none of its 4 lines"),
    "words": (LINES.assign(snr="high"), "none of its 4 lines"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_tables_that_are_no_sample(tmp_path, fault):
    table, said = FAULTS[fault]
    with pytest.raises(InputError, match=said):
        mock_like(written(tmp_path, table), no_fit, 5)


def test_a_line_that_failed_is_not_drawn(tmp_path):
    table = LINES.assign(status=["ok", "ok", "not converged", "ok"], snr=[9.0, np.nan, 9.0, 9.0])
    sky = mock_like(written(tmp_path, table), no_fit, 20, n_channels=64)
    assert set(sky.catalogue["like"]) == {"a", "d"}


def test_samples_that_cannot_be_read(tmp_path):
    (tmp_path / "fits.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"fits\.parquet is damaged .*fit again"):
        mock_like(str(tmp_path), no_fit, 5)
    with pytest.raises(InputError, match=r"dataset\.like=.*nowhere: no such file or folder"):
        mock_like(str(tmp_path / "nowhere"), no_fit, 5)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"dataset\.like=.*empty: no files in this folder; or fit them with"):
        mock_like(str(empty), no_fit, 5)


@given(st.floats(-1, 2))
def test_weights_correlate_noise_as_asked(correlation):
    weights = gaussian_smoothing(np.array([correlation]))
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights, weights[:, ::-1])
    assert next_correlation(weights)[0] == pytest.approx(np.clip(correlation, 0, 0.9), abs=2e-3)


@pytest.mark.parametrize("smoothing", [HANNING[None], gaussian_smoothing(np.array([0.0])), gaussian_smoothing([0.5])])
def test_the_error_of_a_measured_correlation(smoothing):
    noise = smoothed_noise(np.random.default_rng(0), np.ones(2000), 400, smoothing[0])
    measured = np.sum(noise[:, 1:] * noise[:, :-1], axis=1) / np.sum(noise**2, axis=1)
    assert measured.std() == pytest.approx(correlation_error(smoothing, 400)[0], rel=0.06)
