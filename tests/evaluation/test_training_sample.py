"""Objects unlike those that a model was trained on are told by their lines and by their features."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from hiexp.datasets import mock_cig
from hiexp.errors import InputError
from hiexp.evaluation.training_sample import FAR, TrainingSample, line_quantities
from hiexp.fitting import fit_none


def quantities(n, snr=20.0, w50=200.0, channel_width=5.0):
    return pd.DataFrame({"snr": snr, "w50": w50, "channel_width": channel_width}, index=range(n))


def blob(n, seed, n_features, spread=1.0):
    """Points in three of many dimensions, and a little noise in all of them."""
    rng = np.random.default_rng(seed)
    plane = np.zeros((n, n_features))
    plane[:, :3] = rng.normal(scale=spread, size=(n, 3))
    return plane + rng.normal(scale=0.05, size=plane.shape)


def far(sample, features):
    return np.array(
        [FAR in reasons for reasons in sample.reasons(sample.distances(features)[1], quantities(len(features)))]
    )


@pytest.mark.parametrize("n_features", [3, 200])
def test_one_percent_of_the_like_and_all_of_the_unlike_are_far(n_features):
    sample = TrainingSample.of(blob(400, 1, n_features), quantities(400))
    assert 0.001 < far(sample, blob(4000, 2, n_features)).mean() < 0.04
    assert far(sample, blob(50, 3, n_features) + 10).all()


def test_what_the_components_leave_of_an_object_counts():
    sample = TrainingSample.of(blob(400, 1, 200), quantities(400))
    odd = blob(20, 2, 200)
    odd[:, 100:] += np.where(np.arange(100) % 2, 1, -1)
    assert far(sample, odd).all()


def test_the_threshold_is_that_of_leave_one_out_distances():
    points = np.arange(100.0)[:, None] ** 1.5
    sample = TrainingSample.of(points, quantities(100))
    others = np.sort(np.abs(points - points.T), axis=1)[:, 5]  # the first is the point itself
    assert sample.threshold == pytest.approx(np.percentile(others, 99), rel=1e-4)  # single precision


def test_images_are_taken_as_rows_of_pixels():
    images = blob(60, 1, 64).reshape(60, 1, 8, 8)
    sample = TrainingSample.of(images, quantities(60))
    np.testing.assert_allclose(sample.distances(images), sample.distances(images.reshape(60, -1)))
    with pytest.raises(InputError, match="about 64 features, and the model makes 16"):
        sample.distances(images[:, :, :4, :4])


@given(st.floats(1, 1e4), st.floats(1, 1e4), st.floats(0.1, 2e4))
def test_a_range_ends_a_tenth_beyond_what_was_trained_on(one, other, value):
    known = quantities(10).assign(snr=np.linspace(one, other, 10))
    sample = TrainingSample.of(blob(10, 1, 3), known)
    low, high = min(one, other), max(one, other)
    (reasons,) = sample.reasons(np.zeros(1), quantities(1, snr=value))
    assert any(reason.startswith("S/N below") for reason in reasons) == (value < low / 1.1)
    assert any(reason.startswith("S/N above") for reason in reasons) == (value > high * 1.1)
    assert len(reasons) <= 1


def test_reasons_are_words_with_the_limit_and_what_is_unknown_is_not_compared():
    sample = TrainingSample.of(blob(10, 1, 3), quantities(10).assign(snr=np.nan))
    odd = pd.DataFrame({"snr": [1.0, 1.0], "w50": [20.0, np.nan], "channel_width": [30.0, 5.2]})
    first, second = sample.reasons(np.zeros(2), odd)
    assert first == ("W50 below 200 km / s", "channel width above 5 km / s")
    assert second == ()


def test_objects_trained_on_are_known_again():
    points = blob(50, 1, 200)
    sample = TrainingSample.of(points, quantities(50))
    mixed = np.concatenate([points[:7], blob(20, 2, 200)])
    assert sample.seen(sample.distances(mixed)[0]).tolist() == [True] * 7 + [False] * 20


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0])
def test_features_that_a_classifier_may_take_are_no_fault(tmp_path, value):
    features = np.zeros((20, 50)) if value == 0 else blob(20, 1, 50)
    features[3, 7] = value
    sample = TrainingSample.of(features, quantities(20).assign(snr=np.linspace(-3, 16, 20)))
    sample.save(tmp_path / "training.safetensors")
    assert np.isfinite(TrainingSample.load(tmp_path / "training.safetensors").distances(features)).all()


def test_two_objects_are_a_sample():
    sample = TrainingSample.of(np.eye(2), quantities(2))
    assert far(sample, np.eye(2)).tolist() == [False, False]


def test_a_large_sample_is_kept_small_and_comes_back_as_it_was(tmp_path):
    sample = TrainingSample.of(blob(3000, 1, 4096).astype(np.float32), quantities(3000))
    file = tmp_path / "training.safetensors"
    sample.save(file)
    assert file.stat().st_size < 1e6
    again, others = TrainingSample.load(file), blob(20, 2, 4096) * 1.3
    np.testing.assert_array_equal(again.distances(others), sample.distances(others))
    assert (again.ranges, again.threshold) == (sample.ranges, sample.threshold)


def test_channel_widths_are_those_of_the_axis():
    spectra = mock_cig(n_galaxies=4, channel_khz=50.0)
    found = line_quantities(spectra, fit_none(spectra))
    assert ((found["channel_width"] > 10.5) & (found["channel_width"] < 11.5)).all()
    assert found.index.tolist() == spectra.ids.tolist()


def of(**changed):
    def change(arrays, numbers):
        return arrays | {name: value for name, value in changed.items() if isinstance(value, np.ndarray)}, numbers | {
            name: value for name, value in changed.items() if isinstance(value, str)
        }

    return change


DAMAGE = {
    "an array missing": lambda arrays, numbers: ({"mean": arrays["mean"]}, numbers),
    "an array too many": of(more=np.zeros(2, np.float32)),
    "points of other coordinates": of(points=np.zeros((10, 5), np.float32)),
    "one point": of(points=np.zeros((1, 33), np.float32)),
    "components of other features": of(components=np.zeros((32, 7), np.float32)),
    "not finite": of(points=np.full((10, 33), np.inf, np.float32)),
    "doubles": of(mean=np.zeros(64)),
    "a scalar": of(mean=np.array(1, np.float32)),
    "ranges of something else": of(ranges='{"mass": [1, 2]}'),
    "ranges that are no pairs": of(ranges='{"snr": [1]}'),
    "ranges the wrong way round": of(ranges='{"snr": [2, 1]}'),
    "ranges without end": of(ranges='{"snr": [0, 1e999]}'),
    "a list": of(ranges="[1]"),
    "no number": of(threshold="far"),
    "no threshold": of(threshold="nan"),
    "another format": of(format="2"),
    "no numbers": lambda arrays, numbers: (arrays, {}),
}


@pytest.mark.parametrize("fault", DAMAGE)
def test_a_file_of_somebody_else_is_looked_at(tmp_path, fault):
    file = tmp_path / "training.safetensors"
    sample = TrainingSample.of(blob(40, 1, 64), quantities(40))
    sample.save(file)
    numbers = {"format": "1", "ranges": "{}", "threshold": "1"}
    arrays, numbers = DAMAGE[fault](load_file(file), numbers)
    save_file(arrays, file, metadata=numbers)
    with pytest.raises(InputError, match=r"training\.safetensors: damaged") as refused:
        TrainingSample.load(file)
    assert "\n" not in str(refused.value)


def test_a_damaged_file_is_refused_or_says_what_it_can(tmp_path):
    file = tmp_path / "training.safetensors"
    TrainingSample.of(blob(40, 1, 8), quantities(40)).save(file)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for number in range(200):
        content = bytearray(whole)
        if number % 2:
            content = content[: rng.integers(len(content))]
        else:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        file.write_bytes(content)
        try:
            sample = TrainingSample.load(file)
        except InputError:
            continue
        assert len(sample.reasons(np.zeros(1), quantities(1))) == 1
