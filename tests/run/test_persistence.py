import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from hiexp.classifiers import CNNClassifier, ConvNet
from hiexp.errors import InputError
from hiexp.features import DiscImage, RawProfile
from hiexp.run.model_files import load_model, save_model
from hiexp.run.pipeline import extract, learn


def fitted(feature, classifier, profiles, classes):
    rows = np.arange(len(profiles))
    return learn(extract(feature, profiles, rows, classes), classifier, rows, classes)


@pytest.mark.parametrize(
    ("feature", "classifier"),
    [
        (RawProfile(), RandomForestClassifier(10, random_state=0)),
        (DiscImage(size=8), SVC()),
        (DiscImage(size=8), CNNClassifier(ConvNet(filters=[4], dense=8), epochs=2)),
    ],
    ids=["forest on profiles", "svm on images", "cnn on images"],
)
def test_a_model_loaded_predicts_as_it_did(tmp_path, feature, classifier):
    rng = np.random.default_rng(0)
    profiles, classes = rng.normal(size=(40, 20)), rng.integers(0, 3, 40)
    model = fitted(feature, classifier, profiles, classes)
    save_model(model, tmp_path)
    assert not list(tmp_path.rglob("*.pkl"))
    loaded = load_model(tmp_path)
    np.testing.assert_array_equal(loaded.predict(profiles), model.predict(profiles))
    if hasattr(classifier, "predict_proba"):
        np.testing.assert_array_equal(loaded.predict_proba(profiles), model.predict_proba(profiles))
    # Saving takes nothing from the model that is saved.
    assert model.predict(profiles).shape == (40,)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(InputError, match="give the folder `model` of a run"):
        load_model(tmp_path)


class Stranger(RawProfile):
    pass


def test_strange_types_are_not_built_unasked(tmp_path):
    model = fitted(Stranger(), SVC(), np.random.default_rng(0).normal(size=(8, 5)), np.array([0, 1] * 4))
    save_model(model, tmp_path)
    (name,) = [kind for kind in skops.io.get_untrusted_types(file=tmp_path / "pipeline.skops") if "Stranger" in kind]
    with pytest.raises(InputError, match="Stranger"):
        load_model(tmp_path)
    assert load_model(tmp_path, trusted=[name]).predict(np.zeros((1, 5))).shape == (1,)
