"""Searches by Optuna, through the command as a user types it, and what they refuse."""

import json
import os
import re
import signal
import sqlite3
import time
from contextlib import closing, suppress

import numpy as np
import pandas as pd
import pytest
from helpers.commands import command, start_training
from helpers.postgresql import needs_postgresql, service
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from hiexp.comparison.runs import read_sweep
from hiexp.errors import InputError
from hiexp.sweep import study
from hiexp.sweep.space import Space

optuna = pytest.importorskip("optuna")

SAMPLE = ["dataset.n_galaxies=90", "fit=none", "evaluation.permutations=20", "evaluation.yardstick=null"]
KNN = [*SAMPLE, "feature=raw", "classifier=knn", "hydra/sweeper=optuna"]
SEARCH = ["-m", *KNN, "classifier.n_neighbors=int(interval(1,9))"]


def search(*words, cwd, status=0):
    result = command("hiexp.train", *words, cwd=cwd)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout if status == 0 else result.stderr


def folders(folder):
    return sorted(file.parent for file in folder.glob("runs/*/*/.sweep.json"))


def found(folder):
    return json.loads((folders(folder)[-1] / "search.json").read_text())


def trials_in(database):
    """Return the states of all trials of a storage; none where it is still being made."""
    if not database.exists():
        return []
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(database, timeout=60)) as store:
        return [state for (state,) in store.execute("select state from trials order by trial_id")]
    return []


@pytest.mark.slow
def test_a_search_is_steered_by_inner_objects_and_judged_on_those_held_out(tmp_path):
    screen = " ".join(search(*SEARCH, "hydra.sweeper.n_trials=4", cwd=tmp_path).split())
    (folder,) = folders(tmp_path)
    result = found(tmp_path)
    assert result["objective"] == "balanced_accuracy"
    complete = [trial for trial in result["trials"] if trial["state"] == "complete"]
    assert len(complete) == 4
    for trial in complete:
        if trial["repeated"]:
            continue
        job = folder / trial["job"]
        metrics = json.loads((job / "metrics.json").read_text())
        assert metrics["inner_balanced_accuracy"] == pytest.approx(trial["value"])
        table, inner = (pd.read_csv(job / name) for name in ("predictions.csv", "validation.csv"))
        by_id = table.set_index("id")["split"]
        assert set(by_id[inner["id"]]) == {"train"}
        recalls = [np.mean(own["predicted"] == own["reference"]) for _, own in inner.groupby("reference")]
        assert trial["value"] == pytest.approx(np.mean(recalls))
    verdict = result["verdict"]
    assert verdict["inner"] == max(trial["value"] for trial in complete)
    chosen = json.loads((folder / verdict["job"] / "metrics.json").read_text())
    assert (verdict["score"], verdict["p"]) == (chosen["balanced_accuracy"], chosen["p_balanced_accuracy"])
    assert verdict["optimism"] == pytest.approx(verdict["inner"] - verdict["score"])
    assert verdict["n_seen"] == 0
    assert f"run {verdict['job']} (" in screen
    assert f"Optimism of the search: {verdict['optimism']:+.3f}" in screen
    page = (folder / "sweep.html").read_text()
    assert "The search, trial by trial" in page
    assert 'class="band"' in page
    ranked = read_sweep(folder).ranked()
    assert ranked.done[0].name == verdict["job"]
    assert ranked.searched() is not None


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_where_it_was_as_if_nothing_had_happened(tmp_path):
    words = [*SEARCH, "hydra.sweeper.n_trials=5", "hydra.sweeper.sampler=random"]
    whole = tmp_path / "whole"
    whole.mkdir()
    search(*words, cwd=whole)
    process = start_training(*words, cwd=tmp_path)
    database = tmp_path / "mlruns" / "optuna.db"
    until = time.monotonic() + 300
    while time.monotonic() < until and trials_in(database).count("COMPLETE") < 2:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert 2 <= trials_in(database).count("COMPLETE") < 5
    screen = search(*words, cwd=tmp_path)
    assert "an earlier sweep of this command goes on" in screen
    assert screen.count("done in an earlier run") >= 2

    def values(folder):
        return sorted(trial["value"] for trial in found(folder)["trials"] if trial["state"] == "complete")

    assert values(tmp_path) == values(whole)
    assert len(read_sweep(folders(tmp_path)[-1]).done) == len(read_sweep(folders(whole)[-1]).done)


@pytest.mark.slow
def test_processes_share_a_study_and_each_ends_with_all_of_it(tmp_path):
    words = [*SEARCH, "hydra.sweeper.n_trials=6", "hydra.sweeper.sampler=random"]
    search(*words, "hydra.sweeper.n_trials=1", cwd=tmp_path)  # what both need is cached
    both = [start_training(*words, cwd=tmp_path) for _ in range(2)]
    screens = [process.communicate(timeout=280)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(screens)
    states = trials_in(tmp_path / "mlruns" / "optuna.db")
    assert states.count("COMPLETE") == len(states)
    assert 6 <= len(states) <= 7  # two that ask at once may both think that one is missing
    last = max(
        (json.loads((one / "search.json").read_text()) for one in folders(tmp_path)),
        key=lambda one: len([trial for trial in one["trials"] if trial["job"]]),
    )
    assert all(trial["job"] or trial["repeated"] for trial in last["trials"])
    values = [trial["value"] for trial in last["trials"] if not trial["repeated"]]
    assert len(values) == len({trial["job"] for trial in last["trials"]} - {""})


@pytest.mark.slow
@needs_postgresql
def test_a_study_may_be_in_a_database_that_hosts_share(tmp_path, monkeypatch):
    place = service()
    monkeypatch.setenv("PGUSER", place.user)
    monkeypatch.setenv("PGPASSWORD", place.password)
    with place.database() as name:
        search(*SEARCH, "hydra.sweeper.n_trials=2", f"hydra.sweeper.storage={place.uri(name)}", cwd=tmp_path)
        assert place.ask(name, "select state::text from trials") == [("COMPLETE",)] * 2
    assert len(found(tmp_path)["trials"]) == 2


@pytest.mark.slow
def test_a_preset_searches_features_and_classifiers_each_with_its_own_keys(tmp_path):
    small = ["hydra.sweeper.n_trials=4", "evaluation.validation.n_splits=2", "classifier=svm,knn"]
    search("+search=features_and_classifiers", *SAMPLE, *small, "feature=raw_128,asymmetry", cwd=tmp_path)
    (folder,) = folders(tmp_path)
    for run in read_sweep(folder).done:
        keys = {word.partition("=")[0] for word in run.command.split()}
        own = {"svm": "classifier.gamma", "knn": "classifier.n_neighbors"}
        assert own[run.settings["classifier"]] in keys
        assert not {*own.values()} - {own[run.settings["classifier"]]} & keys
    page = (folder / "sweep.html").read_text()
    assert "Over the settings" in page


@pytest.mark.slow
def test_networks_that_are_behind_are_pruned_and_that_is_no_failure(tmp_path):
    network = ["feature=raw", "classifier=cnn", "model=simple", "model.filters=[8]", "model.dense=16", "epochs=6"]
    words = ["-m", *SAMPLE, *network, "hydra/sweeper=optuna", "hydra.sweeper.pruner=halving", "objective=log_loss"]
    words += [
        "hydra.sweeper.warmup_epochs=1",
        "hydra.sweeper.n_trials=6",
        "hydra.sweeper.sampler=random",
        "cache=off",
    ]
    screen = search(*words, "classifier.learning_rate=tag(log,interval(1e-6,1e-2))", cwd=tmp_path)
    (folder,) = folders(tmp_path)
    comparison = read_sweep(folder).ranked()
    assert comparison.pruned
    assert not comparison.others
    states = [trial["state"] for trial in found(tmp_path)["trials"]]
    assert states.count("pruned") == len(comparison.pruned)
    assert states.count("complete") == len(comparison.done)
    assert f"{len(comparison.pruned)} pruned, 0 failed" in screen
    assert "pruned: after" in screen
    for run in comparison.pruned:
        assert not (folder / run.name / "metrics.json").exists()
    assert (
        min(run.metrics["inner_log_loss"] for run in comparison.done) == comparison.done[0].metrics["inner_log_loss"]
    )


@pytest.mark.slow
def test_trials_that_cannot_be_fail_and_the_search_goes_on(tmp_path):
    words = ["-m", *KNN, "classifier.n_neighbors=1,3,500", "hydra.sweeper.sampler=grid"]
    search(*words, cwd=tmp_path, status=1)
    states = [trial["state"] for trial in found(tmp_path)["trials"]]
    assert sorted(states) == ["complete", "complete", "fail"]


@pytest.mark.slow
def test_batches_go_to_parallel_processes_and_cma_es_takes_intervals(tmp_path):
    forest = [*SAMPLE, "feature=raw", "classifier=random_forest", "classifier.n_estimators=int(interval(3,20))"]
    words = ["+classifier.max_features=interval(0.1,1)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    search(
        "-m",
        *forest,
        *words,
        "hydra/sweeper=optuna",
        "hydra.sweeper.sampler=cmaes",
        "hydra.sweeper.n_trials=4",
        cwd=tmp_path,
    )
    assert [trial["state"] for trial in found(tmp_path)["trials"]] == ["complete"] * 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["hydra.sweeper.sampler=annealing"],
            r"hydra\.sweeper\.sampler=annealing: give one of tpe, random, grid, cmaes",
        ),
        (["classifier.n_neighbors=1,2", "hydra.sweeper.sampler=cmaes"], r"classifier\.n_neighbors=1,2: .*no choices"),
        (["objective=best"], "objective=best: give one of balanced_accuracy"),
        (["evaluation=kfold"], "objective=balanced_accuracy: .* use evaluation=holdout"),
        (["classifier.n_neighbors=3"], "hydra/sweeper=optuna: no key has several values"),
        (["random_state=1,2"], "random_state=1,2: a search holds the same objects out"),
        (["hydra.sweeper.storage=nosuch://x"], "hydra.sweeper.storage=nosuch://x: .*give sqlite:///FILE"),
    ],
)
def test_what_a_search_cannot_be_is_one_line(tmp_path, words, said):
    error = search(*SEARCH, *words, cwd=tmp_path, status=1)
    assert re.search(said, error), error
    assert "Traceback" not in error
    assert not list(tmp_path.glob("runs/*/*/0"))


def space(**ranges):
    return Space.of(None, ranges, None, [])


def test_optuna_that_is_not_installed_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(study, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "hiexp\[optuna\]"'):
        study.check_optuna()


@pytest.mark.parametrize(
    ("sampler", "ranges", "said"),
    [
        ("cmaes", {"a": "1,2", "b": "interval(0,1)"}, "a=1,2: hydra.sweeper.sampler=cmaes takes intervals"),
        ("cmaes", {"a": "interval(0,1)"}, "needs two keys"),
        ("grid", {"a": "interval(0,1)"}, r"a=interval\(0,1\): has no end of values"),
    ],
)
def test_samplers_refuse_what_they_cannot_search(sampler, ranges, said):
    with pytest.raises(InputError, match=said):
        study.check_sampler(sampler, space(**ranges))


@pytest.mark.parametrize(
    "word",
    ["interval(2,1)", "tag(log,interval(0,1))", "tag(log,range(1,9,2))", "range(3,1)", "tag(lg,interval(1,2))"],
)
def test_ranges_that_hold_nothing_are_refused(word):
    with pytest.raises(InputError, match="a="):
        space(a=word)


@given(st.integers(0, 20), st.integers(1, 5), st.integers(0, 30))
def test_ranges_have_the_values_of_a_grid(start, step, length):
    word = f"range({start},{start + length + 1},{step})"
    (axis,) = space(a=word).axes
    (override,) = OverridesParser.create().parse_overrides([f"a={word}"])
    assert list(axis.values()) == list(override.sweep_string_iterator())


@given(st.integers(0, 2**31))
def test_a_branch_is_searched_with_its_choice_alone(seed):
    branches = {"c=x": {"+c.depth": "int(interval(1,4))"}, "c=y": {"c.width": "tag(log,interval(0.1,10))"}}
    mixed = Space.of(None, {"c": "x,y"}, branches, ["fixed=1"])
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask()
    words = dict(word.split("=") for word in mixed.suggested(trial))
    assert words.pop("fixed") == "1"
    if words.pop("c") == "x":
        assert list(words) == ["+c.depth"]
        assert 1 <= int(words["+c.depth"]) <= 4
    else:
        assert list(words) == ["c.width"]
        assert 0.1 <= float(words["c.width"]) <= 10


def test_what_is_typed_takes_the_place_of_a_presets_range():
    typed = Space.of(
        None, {"c": "x,y", "a": "interval(0,1)"}, {"c=x": {"b": "1,2"}, "c=y": {"d": "1,2"}}, ["c=x", "a=3"]
    )
    assert typed.fixed == ("c=x", "a=3")
    assert [(axis.key, axis.within) for axis in typed.axes] == [("b", "")]


def test_the_same_seed_proposes_the_same_whatever_was_asked_before():
    one = space(a="interval(0,1)", b="1,2,3")

    def proposed(number):
        asked = optuna.create_study(sampler=study.sampler_of("tpe", one, [7, 0, number])).ask()
        return one.suggested(asked)

    assert proposed(3) == proposed(3)
    assert proposed(3) != proposed(4)
