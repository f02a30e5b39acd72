"""What is tried before the first job of a sweep begins."""

import sys
from contextlib import contextmanager
from itertools import product
from types import SimpleNamespace

import pytest
from helpers.commands import train
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf, open_dict

from hiexp.configs import CONFIGS
from hiexp.errors import InputError
from hiexp.hydra_versions import VERSION_BASE
from hiexp.run.checks import without_hydra
from hiexp.sweep.grid import check_jobs, composed, with_all_words
from hydra_plugins.hiexp_sweeper import GridSweeper


@contextmanager
def sweep_of(command):
    """The configuration of a sweep, what composes its jobs, and the jobs that it has composed."""
    with initialize_config_dir(str(CONFIGS.absolute()), **VERSION_BASE):
        config = compose(command, return_hydra_config=True)
        with open_dict(config):
            config.hydra.job.name = command  # as Hydra finds out from the module it runs
            config.hydra.job.config_name = command
        loader, loaded = GlobalHydra.instance().config_loader(), []

        def load_sweep_config(master_config, sweep_overrides):
            loaded.append(sweep_overrides)
            return loader.load_sweep_config(master_config, sweep_overrides)

        counting = SimpleNamespace(load_sweep_config=load_sweep_config, get_group_options=loader.get_group_options)
        yield config, counting, loaded


def test_jobs_that_differ_by_plain_values_are_composed_once_and_are_what_hydra_composes():
    axes = (
        ["classifier=knn", "classifier=svm"],
        ["seed=1", "seed=2"],
        ["root=a", "root='b c'"],
        ["++own=[1]", "++own=2"],
    )
    batch = [["test_size=0.5", *words] for words in product(*axes)]
    with sweep_of("train") as (config, loader, loaded):
        made = [(error, OmegaConf.to_container(without_hydra(job))) for error, job in composed(batch, config, loader)]
        assert len(loaded) == 4
        whole = [loader.load_sweep_config(config, words) for words in batch]
    assert made == [(None, OmegaConf.to_container(without_hydra(job))) for job in whole]


def test_all_faults_of_all_jobs_are_said_each_once(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train"])
    axes = (
        ["classifier=knn", "classifier=knnn", "classifier=svm"],
        ["epochs=abc", "epochs=2"],
        ["seed=-1", "seed=x"],
        ["classifier.n_neighbors=3"],
    )
    batch = [["model.dense=0", *words] for words in product(*axes)]
    with sweep_of("train") as (config, loader, _), pytest.raises(InputError) as refused:
        check_jobs(batch, config, loader)
    lines = str(refused.value).split("\n")
    for start in ("epochs=abc: give", "seed=-1: give", "seed=x: give", "model.dense=0: give", "classifier=knnn: "):
        assert len([line for line in lines if line.startswith(start)]) == 1, start
    assert any(line.startswith("classifier.n_neighbors: there is no such key") for line in lines)  # of svm
    assert len(lines) == 6


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_of_a_large_grid_every_value_is_tried_in_one_job_more_than_there_are_alternatives(sizes):
    axes = [[f"{name}={value}" for value in range(size)] for name, size in zip("abcd", sizes, strict=False)]
    batch = [["fixed=1", *values] for values in product(*axes)]
    tried = list(with_all_words(batch))
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
def test_a_grid_has_all_combinations_of_the_words(tmp_path, params, words, jobs):
    config, launched = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path / "sweep")}}}), []
    sweeper = GridSweeper(params)
    sweeper.config, sweeper.hydra_context = config, HydraContext(config_loader=None, callbacks=None)
    sweeper.launcher = SimpleNamespace(launch=lambda batch, initial_job_idx: launched.extend(batch) or [])
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
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["clusterer=kmeans,no_such"], "clusterer=no_such: there are"),
        (["classifier.n_neighbors=5,-3"], "Got -3 instead"),
        (["seed=range(3,1)"], "seed=range(3,1): no values to sweep over"),
        (["hydra/sweeper=optuna", "seed=interval(-2,2)"], "seed=-2"),
    ],
    ids=["group", "value", "no value", "search"],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, words, said):
    result = train("-m", "fit=none", "feature=raw", "classifier=knn", *words, cwd=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
