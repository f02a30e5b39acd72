import json
import zipfile

import numpy as np
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from hiexp.classifiers import CNNClassifier, ConvNet
from hiexp.errors import InputError
from hiexp.features import DiscImage, RawProfile
from hiexp.run.model_files import load_model, save_model
from hiexp.run.pipeline import extract, learn
from hiexp.run.skops_files import dump_plain


def fitted(feature, classifier, profiles, classes):
    rows = np.arange(len(profiles))
    return learn(extract(feature, profiles, rows, classes), classifier, rows, classes)


@pytest.mark.parametrize(
    ("feature", "classifier"),
    [
        (RawProfile(), RandomForestClassifier(10, random_state=0)),
        (DiscImage(size=8), SVC()),
        (RawProfile(), HistGradientBoostingClassifier(max_iter=2)),
        (DiscImage(size=8), CNNClassifier(ConvNet(filters=[4], dense=8), epochs=2)),
    ],
    ids=["forest on profiles", "svm on images", "boosting on profiles", "cnn on images"],
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


def schema(file):
    """Return what a file of skops says, its arrays in their places, without what differs from file to file."""
    with zipfile.ZipFile(file) as packed:

        def told(node):
            if isinstance(node, list):
                return [told(one) for one in node]
            if not isinstance(node, dict):
                return node
            return {
                key: packed.read(value) if key == "file" else told(value)
                for key, value in node.items()
                if key != "__id__"
            }

        return told(json.loads(packed.read("schema.json")))


@pytest.mark.parametrize(
    "classifier",
    [
        KNeighborsClassifier(algorithm="brute"),
        SVC(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(3, random_state=0),
        ConvNet(filters=[4], dense=8),
    ],
    ids=["knn", "svm", "regression", "forest", "network"],
)
def test_a_file_written_without_skops_is_the_one_that_skops_writes(tmp_path, classifier):
    rng = np.random.default_rng(0)
    if isinstance(classifier, ConvNet):
        model = make_pipeline(DiscImage(size=8), CNNClassifier(classifier))
    else:
        model = fitted(RawProfile(), classifier, rng.normal(size=(40, 20)), rng.integers(0, 3, 40))
    dump_plain(model, tmp_path / "plain")
    skops.io.dump(model, tmp_path / "skops")
    assert schema(tmp_path / "plain") == schema(tmp_path / "skops")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain))
def test_plain_values_are_read_as_they_were_written(tmp_path_factory, values):
    file = tmp_path_factory.mktemp("plain") / "model.skops"
    dump_plain(FunctionTransformer(kw_args=values), file)
    assert skops.io.load(file).kw_args == values
