"""Which run ``run=`` names, and what is no run to predict with."""

import json
import os
import shutil

import numpy as np
import pytest
import yaml
from helpers.trained import SETTINGS, learned, write_run

from hiexp.errors import InputError
from hiexp.run.trained import content, find_trained_run
from hiexp.tracking.mlflow_store import MlflowTracking, NoTracking


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("trained") / "run", learned())


@pytest.fixture
def runs(trained, tmp_path):
    """A root, and what copies the trained run to a place below its runs/."""

    def copied(name, age=0):
        folder = shutil.copytree(trained, tmp_path / "runs" / name)
        moment = 1_700_000_000 - age
        os.utime(folder / "metrics.json", (moment, moment))
        return folder

    return copied


def found(named, root="."):
    return find_trained_run(str(named), str(root), NoTracking())


def test_a_folder_is_that_run(trained):
    assert found(trained) == trained


def test_the_latest_is_the_training_that_ended_last(runs, tmp_path):
    runs("day/old", age=100)
    runs("day/new")
    for name, settings in (("fit", {"fit": {}}), ("prediction", {"run": "latest"})):
        later = runs(f"day/{name}", age=-100)
        (later / "config.yaml").write_text(yaml.safe_dump(settings))
    runs("day/failed", age=-100).joinpath("error.txt").write_text("no")
    (runs("day/damaged", age=-100) / "config.yaml").write_text("[")
    assert found("latest", tmp_path) == tmp_path / "runs/day/new"


@pytest.mark.parametrize("name", ["mine", "paper/figure3", "a/b/c/d"])
def test_the_latest_may_lie_at_any_depth(runs, tmp_path, name):
    runs("day/old", age=100)
    runs(name)
    runs(f"{name}/transfer", age=-100)
    assert found("latest", tmp_path) == tmp_path / "runs" / name


def sweep(runs, scores, name="day/one_sweep"):
    for number, metrics in enumerate(scores):
        job = runs(f"{name}/{number}", age=1000)
        (job / "metrics.json").write_text(json.dumps(metrics))
        (job / ".hydra").mkdir()
        (job / ".hydra" / "overrides.yaml").write_text("[]")
    folder = job.parent
    (folder / "multirun.yaml").write_text("{}")
    (folder / "ranking.csv").write_text("run\n")
    return folder


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([{"success_rate": 0.5}, {"success_rate": 0.7}, {"success_rate": 0.6}], "1"),
        # A run that puts everything into one class comes after the others, as in the ranking.
        ([{"success_rate": 0.5, "n_predicted_classes": 3}, {"success_rate": 0.7, "n_predicted_classes": 1}], "0"),
        ([{"agreement": 0.5}, {"agreement": 0.9}], "1"),
    ],
)
def test_of_a_sweep_the_best_run_is_taken(runs, tmp_path, scores, best):
    folder = sweep(runs, scores)
    assert found(folder) == folder / best
    assert found("latest", tmp_path) == folder / best


def test_jobs_that_failed_are_not_the_best(runs):
    folder = sweep(runs, [{"success_rate": 0.5}, {"success_rate": 0.9}, {"success_rate": 0.8}])
    (folder / "1" / "error.txt").write_text("no")
    (folder / "2" / "metrics.json").write_text("{")
    assert found(folder) == folder / "0"


def without(name):
    def change(run):
        (shutil.rmtree if (run / name).is_dir() else os.unlink)(run / name)

    return change


def settings(**changed):
    def change(run):
        (run / "config.yaml").write_text(yaml.safe_dump(changed))

    return change


FAULTS = {
    "no run": (without("config.yaml"), "no run is in this folder"),
    "no model": (without("model"), "this run has no stored model"),
    "not ended": (without("metrics.json"), "this run has not ended"),
    "failed": (
        lambda run: (run / "error.txt").write_text("too few\n\nTraceback"),
        r"this run has failed \(too few\)",
    ),
    "fits": (settings(fit=SETTINGS["fit"]), "this is a run of fits alone"),
    "predictions": (settings(run="there"), "made with the model of run=there"),
    "damaged": (lambda run: (run / "config.yaml").write_text("["), "is damaged"),
    "a bomb": (lambda run: (run / "config.yaml").write_text("a: &a [1]\nb: *a"), "aliases"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_trained_run_is_one_line(runs, fault):
    change, said = FAULTS[fault]
    run = runs("day/one")
    change(run)
    with pytest.raises(InputError, match=said) as refused:
        found(run)
    assert str(run) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("named", ["nowhere", "x" * 5000, "\x1b[31mred", "0" * 32])
def test_a_name_of_nothing(tmp_path, named):
    with pytest.raises(InputError, match="no such folder") as refused:
        found(named, tmp_path)
    assert "\x1b" not in str(refused.value)


def test_nothing_is_the_latest(tmp_path):
    with pytest.raises(InputError, match="no training has ended below"):
        found("latest", tmp_path)


def test_an_empty_sweep(runs):
    folder = sweep(runs, [{"success_rate": 0.5}])
    (folder / "0" / "config.yaml").write_text("fit: {}")
    with pytest.raises(InputError, match="no job of this sweep has trained"):
        found(folder)


@pytest.mark.slow
def test_an_id_is_asked_for_in_the_store(runs, tmp_path):
    run, uid = runs("day/one"), "ab" * 16
    (run / "run.json").write_text(json.dumps({"uid": uid, "work": "w", "files": {}}))
    store = MlflowTracking(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts"), "hiexp")
    store.prepare()
    with store.run("one", {}, {"run_uid": uid, "folder": str(run)}, run) as record:
        pass
    named = record.run_id
    assert find_trained_run(named, ".", store) == run
    run.rename(tmp_path / "elsewhere")
    find_trained_run.cache_clear()
    copy = find_trained_run(named, ".", store)
    assert content(copy) == content(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no run of that id in sqlite"):
        find_trained_run("0" * 32, ".", store)


def test_the_content_is_that_of_settings_and_model(runs):
    one, other = runs("day/one"), runs("day/other")
    (other / "metrics.json").write_text("{}")
    assert content(one) == content(other)
    file = other / "model" / "pipeline.skops"
    file.write_bytes(np.random.default_rng(0).bytes(10))
    assert content(one) != content(other)
    (one / "config.yaml").write_text("{}")
    assert len({content(one), content(other), content(runs("day/third"))}) == 3


def test_links_are_not_followed(runs, tmp_path):
    run = runs("day/one")
    (run / "model" / "more").symlink_to(tmp_path)
    with pytest.raises(InputError, match="is no regular file"):
        content(run)
