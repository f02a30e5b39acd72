"""Sweeps on Dask: the jobs of one command on warm workers, and what a dead worker costs."""

import json
import os
import re
import signal
import subprocess
import sys

import pandas as pd
import pytest
from helpers.cluster import QUICK, fateful_sweep, the_sweep, wait_until
from helpers.commands import command, start_training, train
from mlflow import MlflowClient

pytestmark = pytest.mark.slow


def runs_of(folder):
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])
    sweeps = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    return sweeps, [run for run in runs if run not in sweeps]


def test_jobs_on_dask_give_the_numbers_of_jobs_here(tmp_path):
    words = ["-m", *QUICK, "random_state=1,2,3", "tracking=none", "hydra.sweep.dir=mine"]
    for launcher in (
        ["hydra/launcher=basic"],
        ["hydra/launcher=dask", "hydra.launcher.executor.cluster.n_workers=2"],
    ):
        result = train(*words, *launcher, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert (
            len(re.findall(r"^\d of 3 done, .*:  #\d random_state=\d  balanced accuracy", result.stdout, re.M)) == 3
        )
    for job in "012":
        here, there = (tmp_path / name / job / "predictions.csv" for name in ("mine", "mine_2"))
        assert here.read_bytes() == there.read_bytes()


def test_a_job_that_takes_its_worker_down_is_one_failed_job(tmp_path):
    words = fateful_sweep(tmp_path, "none", "die", "no", "never", "nil")
    result = train(*words, "hydra/launcher=dask", "hydra.launcher.executor.cluster.n_workers=1", cwd=tmp_path)
    assert result.returncode == 1
    assert "4 of 5 jobs done, 1 failed" in result.stdout
    assert re.search(r"#1 \+classifier.fate=die  failed: KilledWorker", result.stdout)
    assert len((tmp_path / "fits_die.txt").read_text().split()) == 1  # not tried again
    sweep = the_sweep(tmp_path)
    assert "KilledWorker" in (sweep / "1" / "error.txt").read_text()
    assert sorted(pd.read_csv(sweep / "ranking.csv").query("state == 'done'")["run"]) == [0, 2, 3, 4]
    (parent,), jobs = runs_of(tmp_path)
    assert parent.info.status == "FAILED"
    assert sorted(run.info.status for run in jobs) == ["FAILED", *["FINISHED"] * 4]
    # Typed again, what is missing runs.
    (tmp_path / "fateful.py").write_text((tmp_path / "fateful.py").read_text().replace("SIGKILL", "SIGCONT"))
    again = train(*words, "hydra/launcher=dask", cwd=tmp_path)
    assert again.returncode == 0, again.stdout


def test_a_scheduler_that_runs_already_takes_jobs(tmp_path):
    address = tmp_path / "scheduler.json"
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"distributed.cli.dask_{what}",
                "--scheduler-file",
                address,
                "--no-dashboard",
                *more,
            ],
            cwd="/",  # jobs see what they would see where the command is typed
            stderr=subprocess.DEVNULL,
        )
        for what, more in (("scheduler", ["--host", "127.0.0.1", "--port", "0"]), ("worker", ["--nthreads", "1"]))
    ]
    try:
        wait_until(address.exists)
        place = json.loads(address.read_text())["address"]
        words = fateful_sweep(tmp_path, "none", "die", "no")
        there = ["hydra/launcher=dask_scheduler", f"hydra.launcher.executor.address='{place}'", "tracking=none"]
        result = train(*words, *there, cwd=tmp_path)
        assert result.returncode == 1
        assert "2 of 3 jobs done, 1 failed" in result.stdout, result.stdout + result.stderr
        # Whatever its allowed-failures: it is begun once.
        assert len((tmp_path / "fits_die.txt").read_text().split()) == 1
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_scheduler_that_is_not_there_is_said_in_one_line(tmp_path):
    there = ["hydra/launcher=dask_scheduler", "hydra.launcher.executor.address='tcp://127.0.0.1:9'"]
    result = train("-m", *QUICK, "random_state=1,2", *there, "hydra.launcher.executor.patience=2", cwd=tmp_path)
    assert result.returncode == 1
    (said,) = [line for line in result.stderr.splitlines() if "no Dask scheduler answers" in line]
    assert "tcp://127.0.0.1:9" in said
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_jobs_and_status_says_so(tmp_path):
    words = fateful_sweep(tmp_path, "none", "wait", "no")
    workers = ["hydra/launcher=dask", "hydra.launcher.executor.cluster.n_workers=1"]
    started = start_training(*words, *workers, "tracking=none", cwd=tmp_path)
    wait_until((tmp_path / "fits_wait.txt").exists)
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does
    said, _ = started.communicate(timeout=300)
    assert started.returncode == 128 + signal.SIGINT
    assert "Stopped by SIGINT." in said
    assert "Traceback" not in said
    assert "distributed" not in said
    status = command("hiexp.status", cwd=tmp_path)
    assert status.returncode == 1
    assert re.search(r"3 jobs: \d done, 1 failed, 0 running, \d left; ended \(KILLED\)", status.stdout)
    assert "failed   #1 +classifier.fate=wait  stopped with the sweep" in status.stdout
    assert "The same command runs what is missing: python -m hiexp.train -m" in status.stdout


def test_only_a_sweep_on_a_scheduler_goes_on_without_its_command(tmp_path):
    result = train("-m", *QUICK, "random_state=1,2", "sweep.detach=true", cwd=tmp_path)
    assert result.returncode == 1
    assert "hydra/launcher=submitit_slurm" in result.stderr
    assert not list(tmp_path.glob("runs/*/*"))
    result = train(*QUICK, "sweep.detach=true", cwd=tmp_path)
    assert result.returncode == 1
    assert "-m as the first word" in result.stderr
