"""An MLflow server that is away: at the start, in mid-sweep, and back again."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pandas as pd
import pytest
from helpers.commands import command, train
from helpers.mlflow_server import free_port, server
from mlflow import MlflowClient

from hiexp.errors import InputError
from hiexp.tracking.mlflow_store import SWEEP_UID_TAG, UID_TAG, MlflowTracking, Record, resend_pending

QUICK = ["dataset.n_galaxies=60", "fit=none", "feature=raw", "classifier=knn", "evaluation.permutations=20"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["-m", "random_state=1,2"]], ids=["run", "sweep"])
def test_a_server_that_is_down_is_told_before_anything_is_computed(tmp_path, words):
    uri = f"http://127.0.0.1:{free_port()}"
    result = train(*words, *QUICK, "tracking=server", f"tracking.uri={uri}", cwd=tmp_path)
    assert result.returncode == 1
    assert f"tracking.uri={uri}: no MLflow server answers" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not list(tmp_path.rglob("fits.ecsv"))


@pytest.mark.slow
def test_a_server_that_goes_away_in_mid_sweep_gets_everything_later(tmp_path):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    words = ["-m", *QUICK, "random_state=1,2,3", "tracking=server", f"tracking.uri={uri}"]
    with server(tmp_path, port) as process:
        sweep = subprocess.Popen(
            [sys.executable, "-m", "hiexp.train", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while sweep.poll() is None and not list(tmp_path.glob("runs/*/*_sweep/1")):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        said = sweep.communicate(timeout=300)[0]
    assert sweep.returncode == 0, said
    assert "3 of 3 jobs done" in said
    assert "python -m hiexp.sync" in said
    kept = sorted(file.parent for file in tmp_path.rglob("record.json"))
    assert {"1", "2"} <= {folder.name for folder in kept} <= {kept[0].name, "0", "1", "2"}  # the jobs and the sweep

    with pytest.raises(InputError, match="no MLflow server answers"):
        list(resend_pending(tmp_path / "runs"))
    assert sorted(file.parent for file in tmp_path.rglob("record.json")) == kept

    with server(tmp_path, port):
        result = command("hiexp.sync", cwd=tmp_path)
        assert f"{len(kept)} runs sent" in result.stdout, result.stdout + result.stderr
        assert not list(tmp_path.rglob("record.json"))
        client = MlflowClient(uri)
        runs = client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])
        (parent,) = [run for run in runs if run.data.tags.get("kind") == "sweep"]
        jobs = [run for run in runs if run != parent]
        assert {run.info.status for run in runs} == {"FINISHED"}
        assert sorted(run.data.params["random_state"] for run in jobs) == ["1", "2", "3"]
        assert {run.data.tags["mlflow.parentRunId"] for run in jobs} == {parent.info.run_id}
        (ranking,) = tmp_path.glob("runs/*/*/ranking.csv")
        scores = pd.read_csv(ranking).set_index("run")["success_rate"]
        for run in jobs:
            assert run.data.metrics["test/success_rate"] == scores[int(run.data.tags["job"])]
            assert "predictions.csv" in {file.path for file in client.list_artifacts(run.info.run_id)}
        assert "ranking.csv" in {file.path for file in client.list_artifacts(parent.info.run_id)}


@pytest.mark.slow
def test_what_was_sent_and_not_deleted_is_not_sent_twice(tmp_path):
    tracking = MlflowTracking(f"sqlite:///{tmp_path}/store.db", str(tmp_path / "artifacts"), "trial")
    folder = tmp_path / "someone's run"
    folder.mkdir()
    record = Record("name", {"a": "1"}, {UID_TAG: "1"}, {"m": 1.0}, {"loss": [3.0, 2.0]}, "FAILED", ended=5)
    record.tags["error"] = "no luck"
    record.experiment, record.store = tracking.experiment, tracking.uri
    for _ in range(2):
        record.write(folder)
        tracking.send(Record.read(folder / "record.json"), folder)
        client = MlflowClient(tracking.uri)
        (run,) = client.search_runs([client.get_experiment_by_name("trial").experiment_id])
        assert (run.info.status, run.info.end_time) == ("FAILED", 5)
        assert run.data.tags["error"] == "no luck"
        assert len(client.get_metric_history(run.info.run_id, "test/loss")) == 2
        assert not (folder / "record.json").exists()


@pytest.fixture
def kept(tmp_path):
    """A store, and the records of a sweep and its three jobs, which it could not take at the time."""
    tracking = MlflowTracking(f"sqlite:///{tmp_path}/store.db", str(tmp_path / "artifacts"), "trial")
    for name, tags in {
        "sweep": {UID_TAG: "s", "kind": "sweep"},
        **{f"sweep/{job}": {UID_TAG: f"j{job}", SWEEP_UID_TAG: "s", "job": str(job)} for job in range(3)},
    }.items():
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        Record(name, tags=tags, status="FINISHED", ended=9, experiment="trial", store=tracking.uri).write(folder)
    return tracking, tmp_path / "runs"


def sent(tracking):
    client = MlflowClient(tracking.uri)
    runs = client.search_runs([client.get_experiment_by_name("trial").experiment_id])
    (sweep,) = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    return sweep, [run for run in runs if run != sweep]


@pytest.mark.slow
@pytest.mark.parametrize("done_before", range(5))
def test_a_sync_that_is_killed_leaves_no_job_without_its_sweep(kept, done_before):
    tracking, runs = kept
    records = resend_pending(runs)
    for _ in range(done_before):
        next(records, None)
    records.close()  # the process ends here
    assert len(list(resend_pending(runs))) == 4 - min(done_before, 4)
    sweep, jobs = sent(tracking)
    assert [run.data.tags["mlflow.parentRunId"] for run in jobs] == [sweep.info.run_id] * 3


@pytest.mark.slow
def test_what_is_no_record_or_refused_does_not_stop_the_rest(kept, caplog):
    tracking, runs = kept
    for name, text in {
        "empty": "",
        "half": '{"name": "a", "par',
        "foreign": '{"title": "my vinyl collection"}',
        "list": "[1, 2]",
        "types": json.dumps(asdict(Record()) | {"params": 5, "tags": {UID_TAG: "x"}}),
        "status": json.dumps(asdict(Record("a", tags={UID_TAG: "x"}, status="DONE", experiment="a", store="b"))),
        "deep": "[" * 100_000,
    }.items():
        (runs / name).mkdir()
        (runs / name / "record.json").write_text(text)
    refused = Record("refused", tags={UID_TAG: "r"}, metrics={"no$name": 1.0}, status="FINISHED", ended=9)
    refused.experiment, refused.store = "trial", tracking.uri
    (runs / "refused").mkdir()
    refused.write(runs / "refused")

    assert len(list(resend_pending(runs))) == 4
    assert "7 files are no records of runs and are left alone; the first: " in caplog.text
    assert f"refuses the run in {runs}/refused" in caplog.text
    assert (runs / "refused" / "record.refused.json").exists()
    assert len(list(runs.rglob("record.json"))) == 7
    caplog.clear()
    assert list(resend_pending(runs)) == []
    assert "refuses" not in caplog.text


@pytest.mark.slow
def test_a_store_that_is_away_does_not_keep_others_from_theirs(kept):
    tracking, runs = kept
    away = Record("away", tags={UID_TAG: "a"}, status="FINISHED", ended=9, experiment="trial")
    away.store = f"http://127.0.0.1:{free_port()}"
    (runs / "away").mkdir()
    away.write(runs / "away")
    with pytest.raises(InputError, match="no MLflow server answers"):
        list(resend_pending(runs))
    assert len(sent(tracking)[1]) == 3
    assert [file.parent.name for file in runs.rglob("record.json")] == ["away"]
    assert tracking.resend(runs) == []  # it asks its own store alone


@pytest.mark.slow
def test_links_in_a_run_are_not_followed(kept, tmp_path):
    tracking, runs = kept
    (tmp_path / "secret").write_text("secret")
    (runs / "sweep" / "0" / "link").symlink_to(tmp_path / "secret")
    (runs / "sweep" / "0" / "plots").mkdir()
    (runs / "sweep" / "0" / "plots" / "fits.png").touch()
    list(resend_pending(runs))
    _, jobs = sent(tracking)
    (job,) = [run for run in jobs if run.data.tags["job"] == "0"]
    client = MlflowClient(tracking.uri)
    assert [file.path for file in client.list_artifacts(job.info.run_id)] == ["plots"]
    assert [file.path for file in client.list_artifacts(job.info.run_id, "plots")] == ["plots/fits.png"]


@pytest.mark.slow
def test_help_and_a_folder_that_is_not_there(tmp_path):
    assert "runs=elsewhere/runs" in command("hiexp.sync", "--help", cwd=tmp_path).stdout
    result = command("hiexp.sync", "runs=nowhere", cwd=tmp_path)
    assert result.returncode == 1
    assert re.search("^runs=nowhere: no such folder", result.stderr, re.MULTILINE)
