"""Two hosts at one folder: here two names of one machine, in name spaces of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers.cluster import QUICK, fateful_sweep, the_sweep, wait_until
from helpers.commands import command, start_training, train
from mlflow import MlflowClient

ELSEWHERE = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh", sys.executable]


def can_rename_itself():
    return (
        bool(shutil.which("unshare"))
        and subprocess.run([*ELSEWHERE, "-c", ""], capture_output=True, check=False).returncode == 0
    )


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_rename_itself(), reason="no second host name can be had (unshare --uts)"),
]


def elsewhere(*words, cwd):
    """Start Python on the other host, as the leader of a process group of its own."""
    return subprocess.Popen(
        [*ELSEWHERE, *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def status_of(folder, fate):
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("hiexp").experiment_id
    (run,) = client.search_runs([experiment], f"params.`classifier.fate` = '{fate}'")
    assert run.data.tags["host"] == "elsewhere"
    return run.info.status


def test_a_run_of_another_host_is_closed_when_it_is_dead_and_not_before(tmp_path):
    single = [word for word in fateful_sweep(tmp_path, "wait") if word != "-m"]
    process = elsewhere("-m", "hiexp.train", *single, cwd=tmp_path)
    wait_until((tmp_path / "fits_wait.txt").exists)
    sweep = ["-m", *QUICK, "random_state=1,2"]
    assert train(*sweep, cwd=tmp_path).returncode == 0
    assert status_of(tmp_path, "wait") == "RUNNING"  # it holds its lock

    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert command("hiexp.sync", cwd=tmp_path).returncode == 0
    assert status_of(tmp_path, "wait") == "RUNNING"  # a host without common locks could still be at work
    (sign,) = tmp_path.glob("runs/*/*/.alive")
    long_ago = time.time() - 600
    os.utime(sign, (long_ago, long_ago))
    result = command("hiexp.sync", cwd=tmp_path)
    assert "1 run without a process closed" in result.stdout, result.stdout + result.stderr
    assert status_of(tmp_path, "wait") == "FAILED"


@pytest.fixture
def dask_elsewhere(tmp_path):
    """Return the words for a Dask cluster whose worker is on the other host."""
    place = tmp_path / "scheduler.json"
    words = ["--scheduler-file", str(place), "--no-dashboard"]
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", *words, "--host", "127.0.0.1", "--port", "0"],
        stderr=subprocess.DEVNULL,
    )
    worker = elsewhere("-m", "distributed.cli.dask_worker", *words, "--nthreads", "1", cwd=tmp_path)
    wait_until(place.exists)
    address = json.loads(place.read_text())["address"]
    yield ["hydra/launcher=dask_scheduler", f"hydra.launcher.executor.address='{address}'"]
    os.killpg(worker.pid, signal.SIGKILL)
    scheduler.kill()
    worker.communicate()
    scheduler.wait()


def test_jobs_on_another_host_that_sees_the_locks_run(tmp_path, dask_elsewhere):
    result = train("-m", *QUICK, "random_state=1,2", *dask_elsewhere, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 of 2 jobs done" in result.stdout


def test_jobs_on_a_host_that_does_not_see_the_locks_refuse(tmp_path, dask_elsewhere):
    words = [*fateful_sweep(tmp_path, "no"), "random_state=1,2"]
    process = start_training(*words, *dask_elsewhere, cwd=tmp_path)
    # What two mounts with locks of their own look like: somebody is alive who seems to hold nothing.
    wait_until(lambda: any(lock.unlink() is None for lock in tmp_path.glob("runs/*/*_sweep/.alive.lock")))
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 1
    error = (the_sweep(tmp_path) / "0" / "error.txt").read_text()
    for part in ("is not seen on host elsewhere", "local_lock", "root=FOLDER", "tracking=deferred cache=off"):
        assert part in error
    assert "0 of 2 jobs done, 2 failed" in said

    without = [*words, *dask_elsewhere, "tracking=deferred", "cache=off"]
    process = start_training(*without, "root=other", cwd=tmp_path)
    wait_until(lambda: any(lock.unlink() is None for lock in tmp_path.glob("other/runs/*/*_sweep/.alive.lock")))
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert "3 runs sent to sqlite:///other/mlruns/mlflow.db" in said


def test_a_run_that_is_kept_says_how_it_is_sent(tmp_path):
    result = train(*QUICK, "tracking=deferred", "root=there", cwd=tmp_path)
    assert "-m hiexp.sync root=there\n" in result.stdout
    assert "mlflow ui" not in result.stdout
    assert command("hiexp.sync", "root=there", cwd=tmp_path).stdout.splitlines()[-1] == "1 run sent"
