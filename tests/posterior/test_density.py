"""What networks say of a line, kept and read again, and inside a model."""

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from hiexp.cache import DiskCache, NoCache
from hiexp.errors import InputError
from hiexp.fitting import fit_none, fit_whole
from hiexp.posterior import LINE_INPUTS, AsymmetryDensity, AsymmetryPosterior
from hiexp.posterior import learned as learning
from hiexp.posterior.density import SHARED
from hiexp.posterior.learned import learned_density
from hiexp.posterior.sky import simulate
from hiexp.run.allowed import ESTIMATORS
from hiexp.run.model_files import PIPELINE_FILE, load_model, save_model
from hiexp.run.pipeline import transform


@pytest.fixture(scope="module")
def simulated():
    """Inputs, truth and width of lines that the density has not learned from."""
    return simulate(fit_none, "A_flux", 600, 5)


@pytest.fixture(scope="module")
def model(density, simulated):
    inputs, truth, _ = simulated
    feature = AsymmetryPosterior(density, "A_flux", [1.26, 1.39]).fit(inputs)
    classes = np.searchsorted([1.26, 1.39], truth)
    classifier = LogisticRegression(max_iter=1000).fit(feature.transform(inputs), classes)
    return Pipeline([("feature", feature), ("classifier", classifier)])


def test_every_bin_is_possible_for_every_line(density, simulated):
    inputs, *_ = simulated
    likelihood = density.likelihood(inputs)
    assert likelihood.shape == (len(inputs), len(density.bounds) - 1)
    assert np.isfinite(likelihood).all()
    assert (likelihood > 0).all()
    assert (np.diff(density.bounds) > 0).all()
    assert density.bounds[0] == 1
    assert density.simulated.sum() == pytest.approx(1)
    np.testing.assert_allclose(likelihood @ density.simulated, 1)
    assert density.likelihood(inputs[:0]).shape == (0, len(density.bounds) - 1)


def test_inputs_as_none_has_ever_been_have_a_likelihood(density):
    odd = np.array([[1e9], [-1e9], [0.0]]) * np.ones(len(LINE_INPUTS))
    assert np.isfinite(density.likelihood(odd)).all()


def test_the_true_bin_is_likelier_than_it_would_be_by_chance(density, simulated):
    inputs, truth, _ = simulated
    bins = np.clip(np.searchsorted(density.bounds, truth) - 1, 0, len(density.simulated) - 1)
    # A line of which nothing is known has the likelihood 1 in every bin.
    assert np.log(density.likelihood(inputs)[np.arange(len(truth)), bins]).mean() > 0.5


def test_the_seed_says_what_is_learned(simulated):
    inputs, truth, width = simulated
    one, same, other = (AsymmetryDensity.train(inputs, truth, width, 1.0, seed) for seed in (0, 0, 9))
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(same, name))
    assert np.abs(one.last - other.last).max() > 0.01
    np.testing.assert_array_equal(one.bounds, other.bounds)


@pytest.mark.slow
def test_processes_learn_of_many_lines_without_a_word(simulated, capfd):
    many = [np.concatenate([values] * (SHARED // len(values) + 1)) for values in simulated]
    AsymmetryDensity.train(*many, 1.0, 0)
    assert "Warning" not in capfd.readouterr().err


def test_what_is_kept_is_read_again(density, tmp_path):
    density.save(tmp_path)
    loaded = AsymmetryDensity.load(tmp_path)
    for name, values in vars(density).items():
        np.testing.assert_array_equal(getattr(loaded, name), values)
        assert getattr(loaded, name).dtype == values.dtype


def test_a_density_is_learned_once_for_a_fit(tmp_path, monkeypatch):
    learned = []
    monkeypatch.setattr(learning, "simulate", lambda *given: learned.append(given) or simulate(*given))
    monkeypatch.setattr(learning, "_LEARNED", {})
    cache = DiskCache(str(tmp_path))
    first = learned_density("A_flux", 500, fit_none, cache, 0)
    assert learned_density("A_flux", 500, fit_none, NoCache(), 0) is first
    learning._LEARNED.clear()  # as another process finds it
    np.testing.assert_array_equal(learned_density("A_flux", 500, fit_none, cache, 0).last, first.last)
    assert len(learned) == 1
    learned_density("residual", 500, fit_none, cache, 0)
    assert len(learned) == 2


def test_a_fit_that_measures_no_line_is_named():
    with pytest.raises(InputError, match="fit_whole measures 0 of 500 simulated lines"):
        learned_density("A_flux", 500, fit_whole, NoCache(), 0)


def test_a_model_loaded_predicts_as_it_did(model, simulated, tmp_path):
    inputs, *_ = simulated
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(inputs), model.predict_proba(inputs))
    assert loaded["feature"].limits == [1.26, 1.39]
    assert {f"{kind.__module__}.{kind.__qualname__}" for kind in (AsymmetryDensity, AsymmetryPosterior)} <= ESTIMATORS


def without(density, name):
    return replace(density, **{name: getattr(density, name)[..., :-1]})


@pytest.mark.parametrize("name", ["bounds", "simulated", "mean", "first", "hidden", "last", "last_offsets"])
def test_arrays_of_another_shape_are_refused_with_a_reason(model, simulated, tmp_path, name):
    inputs, *_ = simulated
    feature = model["feature"]
    damaged = AsymmetryPosterior(without(feature.density, name), feature.measure, feature.limits).fit(inputs)
    save_model(Pipeline([("feature", damaged), ("classifier", model["classifier"])]), tmp_path)
    with pytest.raises(InputError, match="AsymmetryPosterior"):
        transform(load_model(tmp_path)["feature"], inputs)


@pytest.mark.parametrize(
    ("name", "value"),
    [("density", "none"), ("density", LogisticRegression()), ("limits", "1.26"), ("limits", [None]), ("measure", 3)],
)
def test_what_is_no_part_of_such_a_feature_is_refused(model, simulated, tmp_path, name, value):
    feature = AsymmetryPosterior(**model["feature"].get_params(deep=False) | {name: value}).fit(simulated[0])
    save_model(Pipeline([("feature", feature), ("classifier", model["classifier"])]), tmp_path)
    with pytest.raises(InputError, match=f"a AsymmetryPosterior of this model has {name}="):
        load_model(tmp_path)


def test_lists_in_the_place_of_arrays_are_refused(model, simulated, tmp_path):
    feature = model["feature"]
    damaged = replace(feature.density, mean=feature.density.mean.tolist())
    damaged = AsymmetryPosterior(damaged, feature.measure, feature.limits).fit(simulated[0])
    save_model(Pipeline([("feature", damaged), ("classifier", model["classifier"])]), tmp_path)
    with pytest.raises(InputError, match="a AsymmetryDensity of this model has mean="):
        load_model(tmp_path)


def test_a_measure_that_there_is_not_is_named(model, simulated, tmp_path):
    feature = AsymmetryPosterior(model["feature"].density, "A_none", [1.26]).fit(simulated[0])
    with pytest.raises(InputError, match="measure A_none: no such measure"):
        feature.transform(simulated[0])


def test_a_foreign_type_is_not_built(model, tmp_path):
    save_model(model, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "changed")
    with zipfile.ZipFile(tmp_path / "whole" / PIPELINE_FILE) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    schema = json.loads(contents["schema.json"])
    text = json.dumps(schema)
    assert '"hiexp.posterior.density"' in text
    contents["schema.json"] = text.replace('"hiexp.posterior.density"', '"hiexp.posterior.measures"').encode()
    with zipfile.ZipFile(tmp_path / "changed" / PIPELINE_FILE, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content)
    with pytest.raises(InputError, match=r"hiexp\.posterior\.measures\.AsymmetryDensity"):
        load_model(tmp_path / "changed")


def test_profiles_are_no_inputs(density):
    with pytest.raises(InputError, match=rf"takes the {len(LINE_INPUTS)} numbers of"):
        AsymmetryPosterior(density, "A_flux", [1.26]).fit(np.zeros((3, 256)))
