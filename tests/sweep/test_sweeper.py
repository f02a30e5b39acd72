"""What is tried before the first job of a sweep begins."""

from functools import cache
from itertools import product
from types import SimpleNamespace

import pytest
from helpers.commands import train
from helpers.configuration import composed
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf, open_dict

from hiexp.errors import InputError
from hydra_plugins.hiexp_sweeper import GridSweeper


@cache
def configuration(command):
    config = composed(command=command, hydra=True)
    with open_dict(config):
        config.hydra.job.name = command  # as Hydra finds it out from the module that it runs
    return config


def tried_of(batch, command):
    """Return the jobs of a batch that a command's sweeper composes before they begin."""
    tried = []

    def load_sweep_config(master_config, sweep_overrides):
        tried.append(sweep_overrides)
        return configuration(command=command)

    loader = SimpleNamespace(load_sweep_config=load_sweep_config)
    context = HydraContext(config_loader=loader, callbacks=None)
    plugins, config = Plugins.instance(), configuration(command=command)
    sweeper = plugins.instantiate_sweeper(config=config, hydra_context=context, task_function=None)
    sweeper.validate_batch_is_legal(batch)
    return tried


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "fit"])
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_every_value_of_a_grid_is_composed_in_one_job_more_than_there_are_alternatives(command, sizes):
    axes = [[f"{name}={value}" for value in range(size)] for name, size in zip("abcd", sizes, strict=False)]
    batch = [["fixed=1", *values] for values in product(*axes)]
    tried = tried_of(batch, command)
    assert {word for job in tried for word in job} == {word for job in batch for word in job}
    assert all(job in batch for job in tried)
    assert len(tried) == 1 + sum(size - 1 for size in sizes)


@pytest.mark.parametrize(
    ("params", "words", "jobs"),
    [
        (None, ["a=1"], [["a=1"]]),
        (None, ["a=1,2", "b=x,y"], [["a=1", "b=x"], ["a=1", "b=y"], ["a=2", "b=x"], ["a=2", "b=y"]]),
        ({"a": "1,2", "b": "3"}, ["a=5", "+c=range(2)"], [["a=5", "b=3", "+c=0"], ["a=5", "b=3", "+c=1"]]),
        ({"a": "choice(x,'y,z')"}, ["~b"], [["a=x", "~b=null"], ["a=y\\,z", "~b=null"]]),
    ],
    ids=["one", "grid", "preset", "quoted"],
)
def test_a_grid_has_all_combinations_of_the_words(tmp_path, monkeypatch, params, words, jobs):
    config, launched = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path / "sweep")}}}), []
    sweeper = GridSweeper(params)
    sweeper.config, sweeper.hydra_context = config, HydraContext(config_loader=None, callbacks=None)
    sweeper.launcher = SimpleNamespace(launch=lambda batch, initial_job_idx: launched.extend(batch) or [])
    monkeypatch.setattr(sweeper, "validate_batch_is_legal", lambda batch: None)
    sweeper.sweep(words)
    assert launched == jobs
    assert OmegaConf.load(tmp_path / "sweep" / "multirun.yaml") == config


def test_a_key_without_values_is_told_before_anything_is_made(tmp_path):
    sweeper = GridSweeper(None)
    sweeper.hydra_context = HydraContext(config_loader=None, callbacks=None)
    sweeper.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path / "sweep")}}})
    with pytest.raises(InputError, match=r"seed=range\(3,1\): no values to sweep over"):
        sweeper.sweep(["seed=range(3,1)"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_interval_is_no_grid(tmp_path):
    result = train("-m", "test_size=interval(0.1,0.5)", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("test_size=interval(0.1,0.5): a grid takes values")


@pytest.mark.slow
def test_a_value_that_is_not_there_is_refused_before_the_first_job(tmp_path):
    result = train("-m", "fit=none", "feature=raw", "classifier=knn,svm", "clusterer=kmeans,no_such", cwd=tmp_path)
    assert result.returncode == 1
    assert "clusterer=no_such: there are" in result.stderr
    assert not list(tmp_path.glob("runs/*/*/0"))
