"""Sweeps on a real SLURM of one node, whose arrays hold five jobs at most."""

import os
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from helpers.cluster import QUICK, fateful_sweep, needs_slurm, submitted, the_sweep, wait_until
from helpers.commands import command, start, start_training, train
from mlflow import MlflowClient

pytestmark = [pytest.mark.slow, needs_slurm]
SLURM = "hydra/launcher=submitit_slurm"


def statuses(folder):
    """Return how the runs of single jobs have ended, by their fate, and how the sweeps have."""
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])
    sweeps = [run.info.status for run in runs if run.data.tags.get("kind") == "sweep"]
    jobs = {}
    for run in runs:
        if run.data.tags.get("kind") != "sweep":
            jobs.setdefault(run.data.params["classifier.fate"], []).append(run.info.status)
    return jobs, sweeps


def queue():
    """Return SLURM's names of the jobs that are there, of arrays one by one."""
    said = subprocess.run(["squeue", "-h", "-r", "-o", "%i %T"], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in said.splitlines())


def test_what_slurm_ends_is_one_failed_job_each_with_its_reason(tmp_path):
    words = fateful_sweep(tmp_path, "none", "die", "wait_for_cancel", "wait_too_long", "no", "never")
    process = start_training(
        *(*words, SLURM, "hydra.launcher.executor.timeout_min=1", "hydra.launcher.executor.slurm_signal_delay_s=1"),
        cwd=tmp_path,
    )
    wait_until((tmp_path / "fits_wait_for_cancel.txt").exists)
    victim = (tmp_path / "fits_wait_for_cancel.txt").read_text().split()[0]
    environment = dict(
        line.split("=", 1) for line in Path(f"/proc/{victim}/environ").read_text().split("\0") if "=" in line
    )
    name = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    subprocess.run(["scancel", name], check=True)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 1
    assert "3 of 6 jobs done, 3 failed" in said, said
    sweep = the_sweep(tmp_path)
    assert len(list((sweep / ".submitit").glob("*_submission.sh"))) == 2  # six jobs, arrays of five
    reasons = {job: (sweep / job / "error.txt").read_text() for job in "123"}
    assert "FAILED" in reasons["1"]
    assert "CANCELLED" in reasons["2"]
    assert "TIMEOUT" in reasons["3"] or "SIGUSR2" in reasons["3"]
    for job, reason in reasons.items():
        assert f"#{job}" in said
        assert str(sweep / ".submitit") in reason  # where its log is
    ranking = pd.read_csv(sweep / "ranking.csv")
    assert sorted(ranking.query("state == 'done'")["run"]) == [0, 4, 5]
    assert (sweep / "sweep.html").exists()
    jobs, sweeps = statuses(tmp_path)
    assert sweeps == ["FAILED"]
    assert {fate: ended for fate, ended in jobs.items() if ended != ["FINISHED"]}.keys() == {
        *("die", "wait_for_cancel", "wait_too_long")
    }
    assert not any("RUNNING" in ended for ended in jobs.values())
    status = command("hiexp.status", cwd=tmp_path)
    assert status.returncode == 1
    assert "6 jobs: 3 done, 3 failed, 0 running, 0 left; ended (FAILED)" in status.stdout


def test_submit_log_off_come_back(tmp_path):
    words = fateful_sweep(tmp_path, "none", "wait", "no")
    result = train(*words, SLURM, "sweep.detach=true", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    sweep = the_sweep(tmp_path)
    assert f"hiexp.status {sweep.relative_to(tmp_path)} --follow" in result.stdout
    names = submitted(sweep)
    wait_until(lambda: (sweep / ".jobs" / "0.done.json").exists() and (sweep / ".jobs" / "2.done.json").exists())
    wait_until((tmp_path / "fits_wait.txt").exists)
    status = command("hiexp.status", cwd=tmp_path)
    assert "3 jobs: 2 done, 0 failed, 1 running, 0 left" in status.stdout
    assert "running  #1 +classifier.fate=wait  for" in status.stdout
    assert status.returncode == 0

    # Neither another sweep below this root takes the submitted one for dead, nor is it disturbed by a new start.
    assert train("-m", *QUICK, "random_state=5", "seed=1,2", cwd=tmp_path).returncode == 0
    assert "RUNNING" in statuses_of_sweeps(tmp_path)

    # SLURM puts the job that waits back into its queue; it goes on in its own folder.
    following = start("hiexp.status", str(sweep), "--follow", cwd=tmp_path)
    subprocess.run(["scontrol", "requeue", names["1"]], check=True)
    wait_until(lambda: queue().get(names["1"]) == "PENDING")
    status = command("hiexp.status", str(sweep), cwd=tmp_path)
    assert "2 done, 0 failed, 0 running, 1 left (1 in SLURM's queue)" in status.stdout
    # Not in two minutes, but not in the same second either: SLURM would find that second's credential revoked.
    subprocess.run(["scontrol", "update", f"jobid={names['1']}", "starttime=now+5"], check=True)
    wait_until(lambda: len((tmp_path / "fits_wait.txt").read_text().split()) == 2, seconds=480)
    (tmp_path / "go_wait").touch()
    said = following.communicate(timeout=300)[0]
    assert following.returncode == 0, said
    assert "3 of 3 done, 0 running, 0 left:  #1 +classifier.fate=wait  balanced accuracy" in said
    assert "3 jobs: 3 done, 0 failed, 0 running, 0 left; ended (FINISHED)" in said
    assert sorted(pd.read_csv(sweep / "ranking.csv")["run"]) == [0, 1, 2]
    assert "RUNNING" not in statuses_of_sweeps(tmp_path)
    log = (sweep / ".submitit" / f"{names['ending']}_0_log.out").read_text()
    assert "3 of 3 jobs done" in log


def statuses_of_sweeps(folder):
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name("hiexp").experiment_id], "tags.kind = 'sweep'")
    return [run.info.status for run in found]


def test_a_detached_sweep_whose_job_is_cancelled_in_the_queue_ends_all_the_same(tmp_path):
    words = fateful_sweep(tmp_path, "none", "wait", "die")
    held = ["hydra.launcher.executor.slurm_additional_parameters={hold: true}"]
    assert train(*words, SLURM, *held, "sweep.detach=true", cwd=tmp_path).returncode == 0
    sweep = the_sweep(tmp_path)
    names = submitted(sweep)
    assert "3 left (3 in SLURM's queue)" in command("hiexp.status", cwd=tmp_path).stdout
    subprocess.run(["scancel", names["1"]], check=True)
    for name in (names["0"].partition("_")[0], names["ending"]):
        subprocess.run(["scontrol", "release", name], check=True)
    followed = command("hiexp.status", str(sweep), "--follow", cwd=tmp_path)
    assert followed.returncode == 1
    assert "1 done, 2 failed" in followed.stdout, followed.stdout
    assert "CANCELLED" in (sweep / "1" / "error.txt").read_text()
    assert statuses_of_sweeps(tmp_path) == ["FAILED"]


def test_a_detached_sweep_is_followed_to_its_last_job_where_the_one_that_ends_it_is_cancelled(tmp_path):
    words = fateful_sweep(tmp_path, "none", "wait", "no")
    assert train(*words, SLURM, "sweep.detach=true", cwd=tmp_path).returncode == 0
    wait_until((tmp_path / "fits_wait.txt").exists)
    subprocess.run(["scancel", submitted(the_sweep(tmp_path))["ending"]], check=True)
    status = command("hiexp.status", cwd=tmp_path)
    assert "Nobody waits for these jobs" in status.stdout
    (tmp_path / "go_wait").touch()
    followed = command("hiexp.status", "--follow", cwd=tmp_path)
    assert "3 done, 0 failed, 0 running, 0 left" in followed.stdout
    assert "Nobody is at work on this sweep any more" in followed.stdout
    assert followed.returncode == 1


def test_jobs_go_on_when_who_launched_them_is_killed(tmp_path):
    words = [*fateful_sweep(tmp_path, "none", "wait"), SLURM]
    process = start_training(*words, cwd=tmp_path)
    wait_until((tmp_path / "fits_wait.txt").exists)
    wait_until((the_sweep(tmp_path) / "0" / "metrics.json").exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    first = the_sweep(tmp_path)
    status = command("hiexp.status", cwd=tmp_path)
    assert "1 running" in status.stdout
    assert "Nobody waits for these jobs; the same command does, and ends the sweep: python -m" in status.stdout
    (tmp_path / "go_wait").touch()
    followed = command("hiexp.status", "--follow", cwd=tmp_path)
    assert followed.returncode == 1
    assert "2 done, 0 failed, 0 running, 0 left" in followed.stdout
    assert "Nobody is at work on this sweep any more; the same command runs what is missing" in followed.stdout
    result = train(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 of 2 jobs done" in result.stdout
    assert len((tmp_path / "fits_wait.txt").read_text().split()) == 1  # waited for, not done twice
    jobs, sweeps = statuses(tmp_path)
    assert jobs == {"none": ["FINISHED"], "wait": ["FINISHED"]}
    assert sweeps == ["FINISHED"]
    assert (first / "1" / "metrics.json").exists()


def test_dask_workers_that_slurm_starts_take_jobs(tmp_path):
    there = ["hydra/launcher=dask_slurm", "hydra.launcher.executor.cluster.memory=1GB"]
    result = train("-m", *QUICK, "random_state=1,2,3", *there, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "3 of 3 jobs done" in result.stdout
    nonsense = train(
        "-m", *QUICK, "random_state=1,2", *there, "hydra.launcher.executor.cluster.queue=no", cwd=tmp_path
    )
    assert nonsense.returncode == 1
    assert "invalid partition specified: no" in nonsense.stdout + nonsense.stderr
    assert "the scheduler has not taken the first worker" in nonsense.stderr.splitlines()[-1]
