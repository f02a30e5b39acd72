import multiprocessing
import socket

import pytest
from mlflow import MlflowClient

from hiexp.comparison.mlflow_runs import Store
from hiexp.errors import InputError
from hiexp.tracking import mlflow_store
from hiexp.tracking.mlflow_store import MlflowTracking, NoTracking


@pytest.fixture
def tracking(tmp_path):
    return MlflowTracking(f"sqlite:///{tmp_path}/store/mlflow.db", str(tmp_path / "store" / "artifacts"), "trial")


def runs(tracking):
    client = MlflowClient(tracking.uri)
    return client, client.search_runs([client.get_experiment_by_name("trial").experiment_id])


@pytest.mark.slow
def test_a_run_is_recorded_whole(tracking, tmp_path):
    folder = tmp_path / "run"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "picture.png").write_bytes(b"png")
    params = {f"key_{i}": i for i in range(250)}  # more than MLflow takes in one call
    with tracking.run("name", params, {"host": "here"}, folder) as record:
        record.metrics["accuracy"] = 0.5
        record.curves["train_loss"] = [3.0, 2.0, 1.0]
    client, (run,) = runs(tracking)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "name"
    assert run.data.params == {key: str(value) for key, value in params.items()}
    assert run.data.tags["host"] == "here"
    assert run.data.metrics["test/accuracy"] == 0.5
    curve = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in curve] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "plots")] == ["plots/picture.png"]


@pytest.mark.slow
@pytest.mark.parametrize(("error", "status"), [(RuntimeError("no luck"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_what_a_run_that_breaks_had_computed_is_kept(tracking, tmp_path, error, status):
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(type(error)), tracking.run("name", {}, {}, folder) as record:
        record.metrics["fit_seconds"] = 2.0
        (folder / "fits.ecsv").write_text("id")
        raise error
    client, (run,) = runs(tracking)
    assert run.info.status == status
    assert run.data.metrics["time/fit_seconds"] == 2.0
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["fits.ecsv"]
    if status == "FAILED":
        assert run.data.tags["error"] == "no luck"


@pytest.mark.slow
def test_all_runs_are_found_however_many_pages_the_store_answers_with(tracking, tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_store, "PAGE", 2)
    for number in range(5):
        with tracking.run(f"run {number}", {}, {"kind": "job"}, tmp_path / str(number)):
            (tmp_path / str(number)).mkdir()
    names = [run.info.run_name for run in tracking.runs({"kind": "job"})]
    assert names == [f"run {number}" for number in reversed(range(5))]
    client = MlflowClient(tracking.uri)
    for number in range(4):
        client.create_experiment(f"another {number}")
    store = Store(tracking.uri)
    assert {"trial", *(f"another {number}" for number in range(4))} <= store.experiments.keys()
    assert len(store.experiment("trial").runs) == 5


@pytest.mark.slow
def test_the_store_can_be_made_first(tracking, tmp_path):
    tracking.prepare()
    tracking.prepare()
    assert (tmp_path / "store" / "mlflow.db").exists()
    assert runs(tracking)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize(("uri", "port"), [("http://host/x", 80), ("https://host", 443), ("http://host:5000", 5000)])
def test_an_address_without_a_port_has_that_of_its_scheme(monkeypatch, uri, port):
    def refuse(place, timeout):
        raise ConnectionRefusedError(str(place))

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(InputError, match=rf"no MLflow server answers \(\('host', {port}\)\)"):
        MlflowTracking(uri, None, "trial").prepare()


def test_no_tracking_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with NoTracking().run("name", {"a": 1}, {}, tmp_path) as record:
        record.metrics["accuracy"] = 1.0
    assert list(tmp_path.iterdir()) == []


def log_runs(tracking, folder, number):
    for i in range(4):
        with tracking.run(
            f"{number}-{i}", {f"key_{k}": k for k in range(120)}, {"number": str(number)}, folder
        ) as record:
            record.metrics |= {f"metric_{k}": float(k) for k in range(40)}
            record.curves["loss"] = [float(number), float(i)] * 30


@pytest.mark.slow
def test_eight_processes_at_once_lose_nothing(tracking, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "predictions.csv").write_text("id")
    context = multiprocessing.get_context("fork")  # MLflow is imported once; no process has opened the store before
    processes = [context.Process(target=log_runs, args=(tracking, folder, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    client, found = runs(tracking)
    assert sorted(run.info.run_name for run in found) == sorted(f"{n}-{i}" for n in range(8) for i in range(4))
    assert {run.info.status for run in found} == {"FINISHED"}
    for run in found:
        number, i = map(float, run.info.run_name.split("-"))
        assert len(run.data.params) == 120
        assert len(run.data.metrics) == 41
        curve = client.get_metric_history(run.info.run_id, "test/loss")
        assert [point.value for point in sorted(curve, key=lambda point: point.step)] == [number, i] * 30
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["predictions.csv"]
    assert not (folder / "record.json").exists()
