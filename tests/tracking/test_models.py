"""Runs as MLflow sees them: models that it loads, serves and registers, samples, names, notes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.cluster import fateful_sweep
from helpers.commands import command, only_run, start_training, train
from helpers.mlflow_server import free_port
from mlflow import MlflowClient

from hiexp.tracking import MlflowTracking

# MLflow's own, as it is imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*type hint is inferred as AnyType:UserWarning")]

QUICK = ["dataset.n_galaxies=60", "feature=asymmetry", "classifier=knn", "evaluation.permutations=20"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder of a run and of a sweep with a registered model, and what MLflow has of them."""
    folder = tmp_path_factory.mktemp("recorded")
    words = [*QUICK, "tracking.register=asymmetric", "tracking.tags={paper: true, n: 1}", "tracking.note='for *us*'"]
    result = train(*words, cwd=folder)
    assert result.returncode == 0, result.stderr
    run = only_run(folder)
    result = train(
        "-m", *QUICK, "classifier=knn,svm", "test_size=0.3,0.5", "tracking.register=asymmetric", cwd=folder
    )
    assert result.returncode == 0, result.stderr
    return run, folder, MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db"), result.stdout


def runs_of(client):
    found = client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])
    sweeps = [run for run in found if run.data.tags.get("kind") == "sweep"]
    alone = [run for run in found if run.data.tags.get("paper") == "True"]
    return alone[0], sweeps[0], [run for run in found if run.data.tags.get("mlflow.parentRunId")]


def lines(number):
    """Return spectra of `number` lines, of unlike length, as MLflow takes them."""
    generator = np.random.default_rng(3)
    rows = []
    for row in range(number):
        velocity = np.arange(4500.0, 5500.0 + 50 * row, 5.0)
        flux = generator.normal(0, 1, velocity.size) + 25.0 * (np.abs(velocity - 5000) < 90 + 10 * row)
        rows.append({"velocity": velocity.tolist(), "flux": flux.tolist()})
    return pd.DataFrame(rows)


def test_mlflow_loads_the_model_of_a_run_and_it_says_what_predict_says(recorded, monkeypatch):
    import mlflow

    run, folder, client, _ = recorded
    alone, _, _ = runs_of(client)
    monkeypatch.chdir(folder)
    mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
    model = mlflow.pyfunc.load_model(f"runs:/{alone.info.run_id}/model")
    assert [one.name for one in model.metadata.get_input_schema()] == ["velocity", "flux", "rms"]
    assert model.predict(model.input_example)["status"].tolist() == ["ok"]
    said = model.predict(lines(3))
    assert said["status"].tolist() == ["ok"] * 3
    # The same spectra by the command.
    for number, row in lines(3).iterrows():
        np.savetxt(folder / f"line{number}.txt", np.column_stack([row["velocity"], row["flux"]]))
    words = [f"run={run}", "dataset=spectra", "dataset.path='line*.txt'", "tracking=none"]
    words += ["dataset.units={velocity: km/s, flux: mJy}", "dataset.convention=optical", "hydra.run.dir=predicted"]
    result = command("hiexp.predict", *words, cwd=folder)
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(folder / "predicted" / "predictions.csv")
    assert said["predicted"].tolist() == table["predicted"].tolist()
    shares = [name for name in table if name.startswith("probability_")]
    np.testing.assert_array_equal(said[shares].to_numpy(float), table[shares].to_numpy())


def test_a_spectrum_that_cannot_be_used_costs_itself_alone(recorded):
    import mlflow

    model = mlflow.pyfunc.load_model(str(recorded[0] / "model"))
    data = lines(4).assign(rms=[1.0, -1.0, None, 1.0])
    flux = data["flux"].tolist()
    data["flux"] = [*flux[:2], flux[2][:7], [0.0] * len(flux[3])]
    said = model.predict(data)
    assert said["status"].iloc[0] == "ok"
    assert said["status"].iloc[1] == "rms=-1.0: give the noise of a channel in mJy, above 0, or leave it out"
    assert said["status"].iloc[2] == f"{len(flux[2])} velocities and 7 fluxes; give one for each channel"
    assert said["status"].iloc[3] == "constant flux: no noise to measure against"
    assert said["predicted"].isna().tolist() == [False, True, True, True]
    alone = model.predict(data.iloc[[1, 2]])
    assert alone["predicted"].isna().all()
    assert alone.columns.tolist() == said.columns.tolist()
    whole = lines(1)
    whole["velocity"] = [[int(value) for value in whole["velocity"][0]]]
    assert model.predict(whole)["status"].tolist() == ["ok"]


def test_the_model_is_served_and_answers_with_json(recorded):
    port = free_port()
    words = ["models", "serve", "-m", str(recorded[0] / "model"), "-p", str(port), "--env-manager", "local"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it starts uvicorn by its name
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words],
        env=os.environ | {"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        asked = {
            "dataframe_records": [*lines(1).to_dict("records"), {"velocity": [1.0, 2.0], "flux": [1.0, 1.0, 1.0]}]
        }
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        for _ in range(120):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read().decode()
                break
            except urllib.error.URLError:
                time.sleep(0.5)
        assert "NaN" not in text
        good, bad = json.loads(text)["predictions"]
        assert good["status"] == "ok"
        assert good["predicted"] in (0, 1, 2)
        assert bad["predicted"] is None
        assert bad["status"] == "2 velocities and 3 fluxes; give one for each channel"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_a_run_and_the_best_of_a_sweep_are_registered(recorded):
    _, folder, client, said = recorded
    alone, _, _ = runs_of(client)
    versions = {int(one.version): one for one in client.search_model_versions("name = 'asymmetric'")}
    assert versions[1].run_id == alone.info.run_id
    ranking = pd.read_csv(next(folder.glob("runs/*/*_sweep/ranking.csv")))
    best = str(ranking["run"].iloc[0])
    assert f"registered:  the model of run {best} as asymmetric version" in said
    last = versions[max(versions)]
    chosen = client.get_run(last.run_id)
    if chosen.info.run_id != alone.info.run_id:  # which a job may have taken over
        assert chosen.data.tags["job"] == best
        assert last.description.startswith(f"The best of 4 configurations, run {best} ")


def test_a_sweep_that_was_done_before_is_registered_all_the_same(recorded):
    _, folder, client, _ = recorded
    again = ["-m", *QUICK, "classifier=knn,svm", "test_size=0.3,0.5", "tracking.register=again"]
    result = train(*again, cwd=folder)
    assert "4 of them in an earlier run" in result.stdout
    (version,) = client.search_model_versions("name = 'again'")
    assert version.description.startswith("The best of 4 configurations")
    result = train(*QUICK, "tracking.register=a/b", cwd=folder)
    assert result.returncode == 1
    assert result.stderr.startswith("tracking.register=a/b: MLflow takes no model of this name")


def test_samples_notes_tags_and_names_are_there(recorded):
    _, _, client, _ = recorded
    alone, sweep, jobs = runs_of(client)
    parts = {one.tags[0].value: one.dataset for one in alone.inputs.dataset_inputs}
    assert {part: json.loads(one.profile)["num_rows"] for part, one in parts.items()} == {"train": 42, "test": 18}
    assert {one.name for one in parts.values()} == {"mock_cig"}
    assert len({one.digest for one in parts.values()}) == 2
    assert "hiexp.datasets.mock_cig" in parts["train"].source
    assert alone.data.tags["mlflow.note.content"] == "for *us*"
    assert alone.info.run_name == "n60 asymmetry knn p20"
    assert {run.info.run_name for run in jobs} <= {"knn 0.3", "knn 0.5", "svm 0.3", "svm 0.5"}
    note = sweep.data.tags["mlflow.note.content"]
    assert note.startswith("`python -m hiexp.train -m ")
    assert "run | classifier | test_size | success_rate | chance | p" in note
    assert f"get-artifact?path=sweep.png&run_uuid={sweep.info.run_id}" in note
    assert client.get_experiment(alone.info.experiment_id).tags["mlflow.experimentKind"] == "custom_model_development"


def test_choices_are_parameters_once_and_metrics_stand_in_groups(recorded):
    _, _, client, _ = recorded
    alone, _, _ = runs_of(client)
    assert alone.data.params["classifier"] == "knn"
    assert alone.data.params["dataset.n_galaxies"] == "60"
    left_out = ("classifier._target_", "fit._partial_", "tracking.uri", "cache.folder", "root", "fit.device")
    assert not {*left_out} & alone.data.params.keys()
    groups = {name.partition("/")[0] for name in alone.data.metrics}
    assert groups <= {"test", "chance", "interval", "yardstick", "dependence", "time", "count"}
    assert {"test/accuracy", "chance/p_accuracy", "time/train_seconds", "count/n_test"} <= alone.data.metrics.keys()
    assert len(alone.data.params) < 75


def test_a_run_whose_folder_is_gone_is_predicted_with_from_the_store(recorded):
    run, folder, client, _ = recorded
    alone, _, _ = runs_of(client)
    kept = run.with_name("away")
    shutil.move(run, kept)
    try:
        words = [f"run={alone.info.run_id}", "dataset=mock_cig", "dataset.n_galaxies=20", "dataset.seed=5"]
        result = command("hiexp.predict", *words, cwd=folder)
        assert result.returncode == 0, result.stderr
    finally:
        shutil.move(kept, run)


def wait_for(found, seconds=300):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if got := found():
            return got
        time.sleep(0.3)
    raise TimeoutError("it has not come about")


def test_epochs_arrive_while_a_network_trains_each_with_its_time(tmp_path):
    words = [
        "dataset.n_galaxies=60",
        "fit=none",
        "epochs=100000",
        "tracking.system_metrics=true",
        "model.filters=[4,4]",
    ]
    MlflowTracking(f"sqlite:///{tmp_path}/mlruns/mlflow.db", f"{tmp_path}/mlruns/artifacts", "hiexp").prepare()
    process = start_training(*words, cwd=tmp_path)
    try:
        client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
        experiment = client.get_experiment_by_name("hiexp")
        (run,) = wait_for(lambda: client.search_runs([experiment.experiment_id]))

        def history(name):
            return client.get_metric_history(run.info.run_id, name)

        first = len(wait_for(lambda: history("train/loss")))
        wait_for(lambda: len(history("train/loss")) > first)  # and again
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=300)
    points = sorted(history("train/loss"), key=lambda point: point.step)
    assert [point.step for point in points] == list(range(1, len(points) + 1))
    assert len({point.timestamp for point in points}) > 10
    assert history("system/cpu_utilization_percentage")


def test_epochs_are_there_once_when_the_run_has_ended(tmp_path):
    words = ["dataset.n_galaxies=60", "fit=none", "epochs=600", "model.filters=[4,4]", "evaluation.permutations=20"]
    result = train(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])
    points = sorted(client.get_metric_history(run.info.run_id, "train/loss"), key=lambda point: point.step)
    assert [point.step for point in points] == list(range(1, 601))
    assert len({point.timestamp for point in points}) > 10
    assert all(run.info.start_time <= point.timestamp <= run.info.end_time for point in points)


def test_a_sweep_counts_its_jobs_while_it_goes(tmp_path):
    process = start_training(*fateful_sweep(tmp_path, "no", "wait"), cwd=tmp_path)
    while_it_waits = {
        "count/n_jobs_done": 1,
        "count/n_jobs_failed": 0,
        "count/n_jobs_running": 1,
        "count/n_jobs_left": 0,
    }
    try:
        wait_for((tmp_path / "fits_wait.txt").exists)
        client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
        experiment = wait_for(lambda: client.get_experiment_by_name("hiexp"))

        def counts():
            (sweep,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
            return {name: value for name, value in sweep.data.metrics.items() if name.startswith("count/n_jobs_")}

        wait_for(lambda: counts() == while_it_waits)
    finally:
        (tmp_path / "go_wait").touch()
        process.communicate(timeout=300)
