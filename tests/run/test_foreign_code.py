"""Models and runs of strangers: nothing that they name is run, nothing that they hold is believed."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from hiexp.classifiers import CNNClassifier, ConvNet
from hiexp.configs import CONFIGS
from hiexp.datasets import mock_cig
from hiexp.errors import InputError
from hiexp.features import DiscImage, RawProfile
from hiexp.fitting import fit_none
from hiexp.hydra_versions import VERSION_BASE
from hiexp.run.model_files import PIPELINE_FILE, load_model, load_run, save_model
from hiexp.run.pipeline import extract, learn

PROFILES, CLASSES = np.random.default_rng(0).normal(size=(40, 20)), np.arange(40) % 3


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, feature, classifier in [
        ("forest", RawProfile(), RandomForestClassifier(3, random_state=0)),
        ("boosting", RawProfile(), HistGradientBoostingClassifier(max_iter=2)),
        ("cnn", DiscImage(size=8), CNNClassifier(ConvNet(filters=[4], dense=8), epochs=1)),
    ]:
        rows = np.arange(40)
        model = learn(extract(feature, PROFILES, rows, CLASSES), classifier, rows, CLASSES)
        save_model(model, folder / name)
    return folder


@pytest.fixture
def model(models, tmp_path):
    def copied(name):
        return shutil.copytree(models / name, tmp_path / name)

    return copied


def rewritten(folder, change):
    """Change the schema of a stored pipeline."""
    file = folder / PIPELINE_FILE
    with zipfile.ZipFile(file) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    schema = json.loads(contents["schema.json"])
    change(schema)
    contents["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content)


def nodes(node):
    """Yield every dict of a schema."""
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from nodes(child)


def of_class(schema, name):
    return next(node for node in nodes(schema) if node.get("__class__") == name and "content" in node)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("hiexp.run.provenance", "subprocess.run"),
        ("hiexp.archives.store", "shutil.rmtree"),
        ("hiexp.run.provenance", "_git"),
        ("hiexp.tracking.mlflow_store", "MlflowTracking"),
        ("hiexp.features.raw", "np.load"),
        ("os", "system"),
    ],
)
def test_names_of_this_package_are_no_licence(model, module, name):
    folder = model("forest")

    def change(schema):
        node = of_class(schema, "RawProfile")
        node |= {"__module__": module, "__class__": name}

    rewritten(folder, change)
    with pytest.raises(InputError, match=f"not trusted by default: {module}.{name}"):
        load_model(folder)


def test_a_function_in_the_place_of_a_setting(model):
    folder = model("forest")

    def change(schema):
        content = of_class(schema, "RawProfile")["content"]["content"]
        content["scaling"] = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1}

    rewritten(folder, change)
    with pytest.raises(InputError, match=r"os\.system"):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "owner", "key", "value", "said"),
    [
        ("forest", "RawProfile", "n_samples", '"many"', "has n_samples=many"),
        ("cnn", "CNNClassifier", "threads", "[1]", "has threads="),
        ("cnn", "CNNClassifier", "image_shape_", '"1, 8, 8"', "has image_shape_="),
        ("cnn", "ConvNet", "filters", '"4"', "has filters=4"),
        ("cnn", "DiscImage", "surprise", "1", "has an attribute surprise"),
    ],
)
def test_attributes_are_of_their_type(model, name, owner, key, value, said):
    folder = model(name)

    def change(schema):
        attributes = of_class(schema, owner)["content"]
        content = attributes["content"]
        if key not in content:
            attributes["key_types"]["content"].append(attributes["key_types"]["content"][0])
        content[key] = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "__id__": 7} | {
            "content": value,
            "is_json": True,
        }

    rewritten(folder, change)
    with pytest.raises(InputError, match=said):
        load_model(folder)


def test_a_network_and_its_weights_belong_together(model):
    folder = model("cnn")
    file = folder / "classifier.safetensors"
    weights = load_file(file)
    name = next(iter(weights))
    save_file(weights | {name: weights[name].reshape(-1)[:2].clone()}, file)
    with pytest.raises(InputError, match=f"{name} has the shape"):
        load_model(folder)
    save_file({key: value for key, value in weights.items() if key != name}, file)
    with pytest.raises(InputError, match=f"{name} has the shape None"):
        load_model(folder)
    file.unlink()
    with pytest.raises(InputError, match="missing; the weights"):
        load_model(folder)


def test_sizes_of_a_network_cost_nothing_before_they_are_compared(model):
    folder = model("cnn")

    def change(schema):
        content = of_class(schema, "ConvNet")["content"]["content"]
        content["dense"] |= {"content": str(10**12), "__id__": 7}

    rewritten(folder, change)
    with pytest.raises(InputError, match="has the shape"):
        load_model(folder)


@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_a_tree_that_leads_out_of_itself(model, kind):
    """Scikit-learn would follow it through the memory of the process."""
    folder = model(kind)
    loaded = load_model(folder)
    classifier = loaded["classifier"]
    if kind == "forest":
        tree = classifier.estimators_[0].tree_
        state = tree.__getstate__()
        state["nodes"]["left_child"][0] = 10**6
        tree.__setstate__(state)
    else:
        classifier._predictors[0][0].nodes["left"][0] = 10**6
    save_model(loaded, folder)
    with pytest.raises(InputError, match="leads out of itself"):
        load_model(folder)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_model_is_refused_or_predicts_as_it_did(models, model, seed):
    rng = np.random.default_rng(seed)
    name = ["forest", "boosting", "cnn"][seed % 3]
    expected = load_model(models / name).predict_proba(PROFILES)
    folder = model(name)
    file = rng.choice(sorted(folder.iterdir()))
    content = bytearray(file.read_bytes())
    if seed % 2:
        content = content[: rng.integers(len(content))]
    else:
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    file.write_bytes(content)
    try:
        loaded = load_model(folder)
    except InputError as error:
        assert str(folder) in str(error) or "of this model" in str(error)
    else:
        if file.suffix == ".skops":  # weights have no checksum of their own
            np.testing.assert_array_equal(loaded.predict_proba(PROFILES), expected)


@pytest.fixture
def run(model, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    model("forest").rename(folder / "model")
    settings = {
        "dataset": {"_target_": "hiexp.datasets.mock_cig", "_partial_": True, "n_galaxies": 12, "seed": 1},
        "fit": {"_target_": "hiexp.fitting.fit_none", "_partial_": True, "n_samples": 20},
    }

    def write(**changes):
        (folder / "config.yaml").write_text(yaml.safe_dump(settings | changes))
        return folder

    return write


def test_a_run_is_loaded_and_predicts(run):
    loaded = load_run(run())
    fit = loaded.fit(loaded.dataset())
    assert loaded.model.predict(fit.profiles[fit.good]).shape == (fit.good.sum(),)


OWN = {
    (stage, file.stem)
    for stage in ("dataset", "fit", "measurements")
    for file in (CONFIGS / stage).glob("*.yaml")
    if "???" not in file.read_text() and "_target_" in file.read_text()
}


@pytest.mark.parametrize(("stage", "member"), sorted(OWN))
def test_what_hiexp_has_configurations_for_needs_no_trust(run, stage, member):
    with initialize_config_dir(str(CONFIGS), **VERSION_BASE):
        settings = compose("train", overrides=[f"{stage}={member}"])
    assert load_run(run(**{stage: OmegaConf.to_container(settings[stage], resolve=True)}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": {"_target_": "os.system", "command": "touch {mark}"}}, r"os\.system"),
        ({"fit": {"_target_": "builtins.exec", "_args_": ["open('{mark}', 'w')"]}}, "exec"),
        (
            {"dataset": {"_target_": "hiexp.datasets.mock_cig", "seed": {"_target_": "os.mkdir", "path": "{mark}"}}},
            r"os\.mkdir",
        ),
        ({"fit": {"_target_": "hiexp.fitting.fit_function", "function": "os.getcwd"}}, r"os\.getcwd"),
        ({"fit": {"_target_": "hiexp.fitting.function.get_method", "path": "os.system"}}, "get_method"),
        ({"dataset": {"_target_": "hiexp.datasets.read_cig", "path": "${oc.env:HOME}"}}, r"\$\{"),
        ({"dataset": {"_target_": ["os.system"]}}, r"os\.system"),
        ({"dataset": None}, "no dataset with a _target_"),
        ({"fit": [1]}, "no fit with a _target_"),
        ({"fit": {"_target_": {"_target_": "os.mkdir", "path": "{mark}"}}}, r"os\.mkdir"),
        ({"fit": {"_target_": "hiexp.datasets.read_alfalfa", "path": "{mark}"}}, "read_alfalfa"),
        ({"fit": {"_target_": "hiexp.fitting.fit_none", "n_samples": {"_target_": "os.mkdir"}}}, r"os\.mkdir"),
        (
            {"fit": {"_target_": "hiexp.fitting.fit_none", "n_samples": [[{"_target_": "os.mkdir", "_args_": [1]}]]}},
            r"os\.mkdir",
        ),
        (
            {"fit": {"_target_": "hiexp.fitting.fit_busy", "margins": {"_target_": "hiexp.datasets.mock_cig"}}},
            "mock_cig",
        ),
        ({"fit": {"_target_": "hiexp.fitting.fit_function", "function": ["os.getcwd"]}}, r"os\.getcwd"),
        ({"fit": {"_target_": "hiexp.fitting.fit_none", "_args_": ["{mark}"]}}, "fit has _args_"),
        ({"fit": {"_target_": "hiexp.fitting.fit_none", "_recursive_": False}}, "fit has _recursive_"),
        ({"fit": {"_target_": "hiexp.fitting.fit_none", "_convert_": "none"}}, "fit has _convert_"),
        ({"fit": {"_target_": "hiexp.fitting.fit_none", "_partial_": "${oc.env:HOME}"}}, "fit has _partial_"),
        ({"fit": {"_target_": "hiexp.fitting.fit_none", "n_samples": "many"}}, "fit.n_samples=many: give a whole"),
        ({"fit": {"_target_": "hiexp.fitting.fit_none", "surprise": 1}}, "fit.surprise=1: nothing reads this key"),
        ({"fit": {"_target_": "hiexp.fitting.fit_none", "spectra": 1}}, "fit.spectra is what it is called with"),
        *(
            ({"dataset": {"_target_": "hiexp.datasets.mock_like", "like": "a", "line_fit": fit}}, said)
            for fit, said in [
                ({"_target_": "os.mkdir", "path": "{mark}"}, r"os\.mkdir"),
                ({"_target_": "hiexp.datasets.mock_cig"}, "mock_cig"),
                ([{"_target_": "hiexp.fitting.fit_none"}], "fit_none"),
                ({"_target_": "hiexp.fitting.fit_none", "n_samples": {"_target_": "os.mkdir"}}, r"os\.mkdir"),
                ({"_target_": "hiexp.fitting.fit_none", "_args_": ["{mark}"]}, "fit has _args_"),
                ({"_target_": "hiexp.fitting.fit_none", "line_fit": {"_target_": "os.mkdir"}}, r"os\.mkdir"),
                ({"_target_": "hiexp.fitting.fit_none", "spectra": 1}, "fit.spectra is what it is called with"),
                ({"path": {"_target_": "os.mkdir", "path": "{mark}"}}, "no fit with a _target_"),
            ]
        ),
        (
            {"dataset": {"_target_": "hiexp.datasets.mock_cig", "line_fit": {"_target_": "hiexp.fitting.fit_none"}}},
            "dataset.line_fit",
        ),
    ],
)
def test_what_settings_name_is_not_run(run, tmp_path, changes, said):
    mark = tmp_path / "mark"
    folder = run(**json.loads(json.dumps(changes).replace("{mark}", str(mark))))
    with pytest.raises(InputError, match=said):
        load_run(folder)
    assert not mark.exists()


def test_a_sky_like_a_sample_is_drawn_again(run, tmp_path):
    fit_none(mock_cig(20), n_samples=20).write(tmp_path)
    fit = {"_target_": "hiexp.fitting.fit_none", "_partial_": True, "n_samples": 20}
    like = {"_target_": "hiexp.datasets.mock_like", "like": str(tmp_path), "n_galaxies": 5, "line_fit": fit}
    assert len(load_run(run(dataset=like)).dataset()) == 5


@pytest.mark.parametrize("text", ["", "a: [", "!!python/object/apply:os.system ['true']", "- 1", "\x00"])
def test_settings_that_are_none(run, text):
    folder = run()
    (folder / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"config\.yaml"):
        load_run(folder)
    with pytest.raises(InputError, match=r"config\.yaml"):
        load_run(folder / "model")


def test_names_that_someone_vouches_for_are_built(run, tmp_path, monkeypatch):
    (tmp_path / "my_sky.py").write_text("from hiexp.datasets import mock_cig as sky\n")
    monkeypatch.syspath_prepend(tmp_path)
    folder = run(dataset={"_target_": "my_sky.sky", "n_galaxies": 12})
    with pytest.raises(InputError, match=r"trusted=\['my_sky.sky'\]"):
        load_run(folder)
    assert len(load_run(folder, trusted=["my_sky.sky"]).dataset()) == 12
