"""Sweeps that are interrupted, typed again, run in parallel: each through the command as a user types it."""

import os
import random
import re
import signal
import time

import pandas as pd
import pytest
from helpers.commands import command, start_training, train
from mlflow import MlflowClient

QUICK = ["dataset.n_galaxies=60", "fit=none", "feature=raw", "classifier=knn", "evaluation.permutations=20"]
N_JOBS = 4
SWEEP = ["-m", *QUICK, f"random_state=range({N_JOBS})"]


def sweep(*words, cwd):
    result = command("hiexp.train", *words, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class Store:
    """The runs of a folder, read anew."""

    def __init__(self, folder):
        self.client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
        known = self.client.get_experiment_by_name("hiexp")
        runs = self.client.search_runs([known.experiment_id]) if known else []
        self.sweeps = [run for run in runs if run.data.tags.get("kind") == "sweep"]
        self.jobs = [run for run in runs if run not in self.sweeps]

    def ids(self, status):
        return {run.info.run_id for run in self.jobs if run.info.status == status}


def sweep_folders(folder):
    return sorted(file.parent for file in folder.glob("runs/*/*_sweep/.sweep.json"))


@pytest.mark.slow
def test_a_sweep_is_one_run_with_its_jobs_below_it_and_typed_again_runs_nothing(tmp_path):
    words = ["-m", *QUICK, "random_state=1,2"]
    screen = sweep(*words, cwd=tmp_path)
    assert re.search(r"^2 of 2 done, 0 running, 0 left:  #1 random_state=2  balanced accuracy", screen, re.MULTILINE)
    said = r"The best of 2 configurations, run [01] \(random_state=[12]\), has a success rate of 0\.\d+\."
    assert re.search(said, " ".join(screen.split()))
    store = Store(tmp_path)
    (parent,) = store.sweeps
    (first,) = sweep_folders(tmp_path)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["command"] == f"python -m hiexp.train {' '.join(words)}"
    assert parent.data.tags["folder"] == str(first)
    assert {run.data.tags["mlflow.parentRunId"] for run in store.jobs} == {parent.info.run_id}
    assert {run.data.tags["job"] for run in store.jobs} == {"0", "1"}
    held = {file.path for file in store.client.list_artifacts(parent.info.run_id)}
    assert {"ranking.csv", "sweep.json", "sweep.html", "sweep.png"} <= held
    assert not {"0", "1"} & held
    ranking = pd.read_csv(first / "ranking.csv")
    assert parent.data.metrics["test/success_rate"] == ranking["success_rate"].max()

    # One folder is lost: its files come from the store, those of the other are copies.
    before = {job: (first / job / "predictions.csv").read_bytes() for job in "01"}
    (first / "0").rename(tmp_path / "lost")
    assert "2 of 2 jobs done, 2 of them in an earlier run" in sweep(*words, cwd=tmp_path)
    again = Store(tmp_path)
    assert again.ids("FINISHED") == store.ids("FINISHED")
    assert len(again.jobs) == 2
    assert [run.info.run_id for run in again.sweeps] == [parent.info.run_id]
    _, second = sweep_folders(tmp_path)
    assert {job: (second / job / "predictions.csv").read_bytes() for job in "01"} == before
    assert not (second / "1" / "predictions.csv").samefile(first / "1" / "predictions.csv")
    repeated = pd.read_csv(second / "ranking.csv")
    pd.testing.assert_frame_equal(repeated.drop(columns="folder"), ranking.drop(columns="folder"))

    # What reproduces a job runs it again.
    run = store.jobs[0]
    words = run.data.tags["command"].split()
    assert words[:3] == ["python", "-m", "hiexp.train"]
    sweep(*words[3:], cwd=tmp_path)
    (alone,) = tmp_path.glob("runs/*/*/predictions.csv")
    assert alone.read_bytes() == before[run.data.tags["job"]]
    assert len(Store(tmp_path).jobs) == 3


def interrupted(words, folder, how, rng):
    """Start a sweep, stop it at a random moment after its first job has begun, and return what the screen said."""
    known = set(sweep_folders(folder))
    process = start_training(*words, cwd=folder)
    while process.poll() is None and not any((new / "0").exists() for new in set(sweep_folders(folder)) - known):
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 5))
    os.killpg(process.pid, how)
    said = process.communicate(timeout=300)[0]
    return process.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_what_a_killed_sweep_has_finished_is_neither_lost_nor_done_twice(tmp_path, launcher):
    seed = random.SystemRandom().getrandbits(32)
    print("moments of the kills: random.Random", seed)  # noqa: T201, pytest shows it where the test fails
    rng = random.Random(seed)
    words = [*SWEEP, f"hydra/launcher={launcher}"]
    finished = {}
    for how in (signal.SIGKILL, signal.SIGINT):
        code, said = interrupted(words, tmp_path, how, rng)
        store = Store(tmp_path)
        assert finished.keys() <= store.ids("FINISHED"), said
        finished = {run.info.run_id: run.data.metrics for run in store.jobs if run.info.status == "FINISHED"}
        if how == signal.SIGINT:
            ended = f"{N_JOBS} of {N_JOBS} jobs done" in said  # whatever became of the process afterwards
            assert not store.ids("RUNNING"), said
            assert [run.info.status for run in store.sweeps] == ["FINISHED" if ended else "KILLED"], said
            assert ended or (code != 0 and "the same command runs what is missing" in said), said
    screen = sweep(*words, cwd=tmp_path)
    assert f"{N_JOBS} of {N_JOBS} jobs done" in screen
    store = Store(tmp_path)
    assert finished.items() <= {run.info.run_id: run.data.metrics for run in store.jobs}.items()
    assert not store.ids("RUNNING")
    done = [run for run in store.jobs if run.info.status == "FINISHED"]
    assert sorted(run.data.params["random_state"] for run in done) == [str(i) for i in range(N_JOBS)]
    assert [run.info.status for run in store.sweeps] == ["FINISHED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in store.jobs} == {store.sweeps[0].info.run_id}
    folder = sweep_folders(tmp_path)[-1]
    assert sorted(pd.read_csv(folder / "ranking.csv")["run"]) == list(range(N_JOBS))
    for run in done:
        predicted = pd.read_csv(folder / run.data.tags["job"] / "predictions.csv")
        assert len(predicted) == 60


@pytest.mark.slow
def test_parallel_jobs_give_the_numbers_of_serial_ones_in_a_folder_of_their_own(tmp_path):
    words = ["-m", "dataset.n_galaxies=60", "fit=none", "feature.size=16", "epochs=1", "tracking=none"]
    words += ["classifier=knn,random_forest,cnn", "hydra.sweep.dir=mine"]
    for launcher in ("basic", "joblib"):
        screen = sweep(*words, f"hydra/launcher={launcher}", cwd=tmp_path)
        assert re.search(r"^3 of 3 done, 0 running, 0 left:  #\d classifier=", screen, re.MULTILINE), launcher
    assert {file.parent.name for file in tmp_path.glob("*/ranking.csv")} == {"mine", "mine_2"}
    for job in "012":
        serial, parallel = (tmp_path / name / job / "predictions.csv" for name in ("mine", "mine_2"))
        assert serial.read_bytes() == parallel.read_bytes()


@pytest.mark.slow
def test_words_that_refer_to_others_stay_as_they_were_typed(tmp_path):
    words = ["seed=1,2", "random_state=${seed}", "hydra.sweep.subdir=job_${hydra.job.num}", "tracking=none"]
    result = train("-m", "dataset.n_galaxies=60", "fit=none", "feature=raw", "classifier=knn", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (sweep,) = tmp_path.glob("runs/*/*_sweep")
    assert sorted(job.name for job in sweep.glob("job_*")) == ["job_0", "job_1"]
    assert "random_state=${seed}" in (sweep / "sweep.html").read_text()
