"""Classifiers as their YAML builds them; the network and the shapelets have files of their own."""

import sys

import numpy as np
import pytest
from helpers.commands import only_run
from helpers.configuration import configured
from sklearn.base import clone

from hiexp.classifiers.rocket import MiniRocket, MultiRocketHydra
from hiexp.configs import CONFIGS
from hiexp.errors import InputError
from hiexp.features import RawProfile
from hiexp.run.model_files import load_model, save_model
from hiexp.run.pipeline import extract, learn, predict

NAMES = [
    file.stem for file in sorted((CONFIGS / "classifier").glob("*.yaml")) if file.stem not in ("cnn", "shapelets")
]
ROCKETS = ["minirocket", "multirocket_hydra"]
AXIS = np.linspace(-1, 1, 50)
SHAPES = np.array([AXIS, -AXIS, np.cos(3 * np.pi * AXIS)])


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    classes = rng.permutation(np.repeat([0, 2, 5], 30))
    noise = rng.normal(0, 0.1, (90, 50))
    return SHAPES[np.searchsorted([0, 2, 5], classes)] + noise, classes


def fitted(classifier, profiles, classes):
    rows = np.arange(len(profiles))
    return learn(extract(RawProfile(), profiles, rows, classes), classifier, rows, classes)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_classifier_learns_shapes(sample, name):
    if name in ROCKETS:
        pytest.importorskip("aeon")
    profiles, classes = sample
    rows = np.arange(60)
    features = extract(RawProfile(), profiles, rows, classes)
    model = learn(features, configured("classifier", name), rows, classes)
    predicted, probability = (part if part is None else part[60:] for part in predict(model, features))
    assert np.mean(predicted == classes[60:]) > 0.9
    assert model[-1].classes_.tolist() == [0, 2, 5]
    assert (probability is None) == (name in ["svm", *ROCKETS])
    if probability is not None:
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        assert np.mean(model[-1].classes_[probability.argmax(axis=1)] == classes[60:]) > 0.9
    again = learn(features, configured("classifier", name), rows, classes)
    np.testing.assert_array_equal(predict(again, features)[0][60:], predicted)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient_boosting", "logistic_regression"])
def test_a_model_is_stored_and_read_again(sample, tmp_path, name):
    profiles, classes = sample
    model = fitted(configured("classifier", name), profiles, classes)
    save_model(model, tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).predict_proba(profiles), model.predict_proba(profiles))


def test_a_step_of_a_pipeline_is_set_by_its_place():
    assert configured("classifier", "logistic_regression", "classifier.steps.1.1.C=0.1")["regression"].C == 0.1


def test_a_rocket_predicts_any_number_of_profiles_and_is_stored(sample, tmp_path):
    pytest.importorskip("aeon")
    profiles, classes = sample
    model = fitted(MiniRocket(n_kernels=84), profiles, classes)
    predicted = model.predict(profiles)
    np.testing.assert_array_equal(model.predict(np.tile(profiles, (12, 1))), np.tile(predicted, 12))
    save_model(model, tmp_path)
    with pytest.raises(InputError, match=r"trusted=\['aeon\.") as refused:
        load_model(tmp_path)
    trusted = [name.strip("'[]) ") for name in str(refused.value).partition("trusted=")[2].split(",")]
    np.testing.assert_array_equal(load_model(tmp_path, trusted=trusted).predict(profiles), predicted)


@pytest.mark.parametrize("rocket", [MiniRocket(), MultiRocketHydra()], ids=lambda rocket: type(rocket).__name__)
def test_without_aeon_the_error_says_what_to_install(sample, monkeypatch, rocket):
    monkeypatch.setitem(sys.modules, "aeon.classification", None)
    with pytest.raises(InputError, match=r'needs aeon, which is not installed: pip install "hiexp\[aeon\]"'):
        clone(rocket).fit(*sample)


@pytest.mark.slow
def test_the_command_trains_a_rocket(hiexp_train, tmp_path):
    pytest.importorskip("aeon")
    words = ["dataset.n_galaxies=60", "feature=raw", "labels=cluster", "clusterer=spectral", "tracking=none"]
    screen = hiexp_train(*words, "classifier=minirocket", "classifier.n_kernels=84")
    assert "MiniRocket: the first run on a machine compiles" in screen.stdout + screen.stderr
    assert (only_run(tmp_path) / "predictions.csv").is_file()
