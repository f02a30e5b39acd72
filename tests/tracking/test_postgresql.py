"""Runs in a PostgreSQL database, directly and behind an MLflow server."""

import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from helpers.cluster import wait_until
from helpers.commands import start_training, train
from helpers.mlflow_server import free_port, server
from helpers.postgresql import needs_postgresql, service
from mlflow import MlflowClient

from hiexp.compare import compare, parsed
from hiexp.errors import InputError
from hiexp.run.trained import find_trained_run
from hiexp.tracking import DeferredTracking
from hiexp.tracking.database import with_driver
from hiexp.tracking.mlflow_store import MlflowTracking, resend_pending

pytestmark = [pytest.mark.slow, needs_postgresql]
QUICK = ["dataset.n_galaxies=60", "fit=none", "feature=raw", "classifier=knn", "evaluation.permutations=20"]
WRITERS, RUNS = 8, 50
CONNECTIONS = "select count(*) from pg_stat_activity where datname = '{}'"


@pytest.fixture(scope="module")
def place():
    return service()


@pytest.fixture(autouse=True)
def _user(place, monkeypatch):
    monkeypatch.setenv("PGUSER", place.user)
    monkeypatch.setenv("PGPASSWORD", place.password)


@pytest.fixture
def empty(place):
    with place.database() as name:
        yield name


@pytest.fixture(scope="module")
def made(place, tmp_path_factory):
    """A database with an empty store, to be copied."""
    with place.database() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGUSER", place.user)
        patch.setenv("PGPASSWORD", place.password)
        MlflowTracking(place.uri(name), str(tmp_path_factory.mktemp("made")), "other").prepare()
        yield name


@pytest.fixture
def store(place, made):
    with place.database(f"template {made}") as name:
        yield name


def runs(uri, experiment):
    client = MlflowClient(with_driver(uri))
    return client, client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000)


def write_runs(tracking, folder, writer):
    for number in range(RUNS):
        place = folder / f"{writer}-{number}"
        place.mkdir()
        (place / "predictions.csv").write_text(f"{writer},{number}")
        with tracking.run(place.name, {"writer": writer, "number": number}, {"folder": str(place)}, place) as record:
            record.metrics["score"] = writer + number / RUNS
            record.curves["loss"] = [float(number), float(writer)]


def test_eight_writers_that_find_an_empty_database_lose_nothing(place, empty, tmp_path):
    tracking = MlflowTracking(place.uri(empty), str(tmp_path / "artifacts"), "trial")
    context = multiprocessing.get_context("fork")  # MLflow is imported once; no process has seen the database before
    processes = [context.Process(target=write_runs, args=(tracking, tmp_path, writer)) for writer in range(WRITERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * WRITERS
    assert not list(tmp_path.rglob("record.json"))

    assert sorted(place.ask(empty, "select name from experiments")) == [("Default",), ("trial",)]
    _, found = runs(tracking.uri, "trial")
    names = {f"{writer}-{number}" for writer in range(WRITERS) for number in range(RUNS)}
    assert {run.info.run_name for run in found} == names
    assert len(found) == len(names)
    assert {run.info.status for run in found} == {"FINISHED"}
    curves = {}
    for key, *point in place.ask(
        empty, "select run_uuid, step, value from metrics where key = 'test/loss' order by step"
    ):
        curves.setdefault(key, []).append(tuple(point))
    for run in found:
        writer, number = map(int, run.info.run_name.split("-"))
        assert run.data.params == {"writer": str(writer), "number": str(number)}
        assert run.data.metrics == {"test/score": writer + number / RUNS, "test/loss": writer}
        assert curves[run.info.run_id] == [(1, number), (2, writer)]
        kept = tmp_path / "artifacts" / run.info.run_id / "artifacts" / "predictions.csv"
        assert kept.read_text() == f"{writer},{number}"


def test_a_sweep_typed_again_takes_all_over_and_the_password_is_nowhere(place, empty, tmp_path, monkeypatch):
    secret, user = "53cretw0rd", f"{empty}_user"
    place.ask("postgres", f"create role {user} login password '{secret}'", f"alter database {empty} owner to {user}")
    monkeypatch.delenv("PGUSER")
    monkeypatch.delenv("PGPASSWORD")
    try:
        words = ["-m", *QUICK, "random_state=1,2", "tracking=server"]
        address = f"tracking.uri=postgresql://{user}:{secret}@127.0.0.1:{place.port}/{empty}"
        first, again = (train(*words, address, cwd=tmp_path) for _ in range(2))
        uri = place.uri(empty)
        monkeypatch.setenv("PGUSER", user)
        monkeypatch.setenv("PGPASSWORD", secret)
        client, found = runs(uri, "hiexp")
        where = client.get_experiment_by_name("hiexp").artifact_location
        compared = compare(parsed(["--uri", uri, "--experiment", "hiexp"]), [])
        hint = re.search(r"mlflow ui --backend-store-uri (\S+)", first.stdout)
        (job,) = [run for run in found if run.data.params.get("random_state") == "1"]
        tracking = MlflowTracking(uri, None, "hiexp")
        trained = find_trained_run(job.info.run_id, str(tmp_path), tracking)
        tables = place.ask(empty, "select * from params", "select value from tags union select value from params")
    finally:
        place.ask("postgres", f"drop database {empty} with (force)", f"drop role {user}")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert "2 of 2 jobs done" in first.stdout
    assert again.stdout.count("done in an earlier run") == 2
    jobs = [run for run in found if run.data.tags.get("kind") != "sweep"]
    assert {run.info.status for run in found} == {"FINISHED"}
    assert sorted(run.data.params["random_state"] for run in jobs) == ["1", "2"]
    assert "Traceback" not in first.stderr + again.stderr
    assert "random_state" in compared
    assert hint[1] == with_driver(uri)
    assert str(trained) == job.data.tags["folder"]
    artifacts = tmp_path / "mlruns" / "artifacts" / job.info.run_id / "artifacts"
    assert (artifacts / "predictions.csv").exists()
    assert where == artifacts.parents[1].as_uri()
    assert not any(secret in str(row) for row in tables)
    for result in (first, again):
        assert secret not in result.stdout + result.stderr
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def test_what_a_database_does_not_take_is_kept_and_sent_later(place, store, tmp_path, caplog):
    tracking = MlflowTracking(place.uri(store), str(tmp_path / "artifacts"), "trial")
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    with tracking.run("name", {"a": 1}, {}, folder) as record:
        (folder / "predictions.csv").touch()
        record.metrics["score"] = 0.5
        wait_until(lambda: place.ask("postgres", CONNECTIONS.format(store)) == [(0,)])  # while a job is at work
        place.ask("postgres", f"alter database {store} allow_connections false")
    assert "python -m hiexp.sync" in caplog.text
    assert "Traceback" not in caplog.text
    with pytest.raises(InputError, match="not currently accepting connections"):
        list(resend_pending(tmp_path / "runs"))
    assert (folder / "record.json").exists()
    place.ask("postgres", f"alter database {store} allow_connections true")
    assert [sent for _, sent in resend_pending(tmp_path / "runs")] == [folder]
    client, (run,) = runs(tracking.uri, "trial")
    assert (run.info.status, run.data.params, run.data.metrics) == ("FINISHED", {"a": "1"}, {"test/score": 0.5})
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["predictions.csv"]


def test_what_waits_for_a_host_that_reaches_it_is_sent_with_its_files(place, store, tmp_path):
    tracking = DeferredTracking(place.uri(store), str(tmp_path / "artifacts"), "trial")
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    with tracking.run("name", {}, {}, folder):
        (folder / "predictions.csv").touch()
    tracking.deliver(tmp_path / "runs")
    assert not (folder / "record.json").exists()
    (run,) = runs(tracking.uri, "trial")[1]
    assert (tmp_path / "artifacts" / run.info.run_id / "artifacts" / "predictions.csv").exists()


def test_it_is_reached_by_a_socket_with_a_password_file(place, store, tmp_path, monkeypatch):
    monkeypatch.delenv("PGPASSWORD")
    file = tmp_path / "pgpass"
    file.write_text(
        f"localhost:{place.port}:*:{place.user}:{place.password}\n{place.folder}:*:*:*:{place.password}\n"
    )
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    for scheme in ("postgresql", "postgresql+psycopg"):
        uri = f"{scheme}:///{store}?host={place.folder}&port={place.port}"
        tracking = MlflowTracking(uri, str(tmp_path / "artifacts"), scheme.partition("+")[0])
        tracking.prepare()
        assert tracking.uri == uri
        assert tracking.runs({}) == []


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("create table galaxies (name text)", "database of something else; make another one with createdb"),
        ("create table alembic_version (version_num text)", "database of something else"),
    ],
)
def test_a_database_of_something_else_is_left_alone(place, empty, tmp_path, harm, said):
    place.ask(empty, harm)
    with pytest.raises(InputError, match=f"^{place.uri(empty)}: this is a {said}"):
        MlflowTracking(place.uri(empty), str(tmp_path), "trial").prepare()
    assert len(place.ask(empty, "select * from pg_tables where schemaname = 'public'")) == 1


def test_a_store_of_another_version_says_how_it_is_upgraded(place, store, tmp_path):
    place.ask(store, "update alembic_version set version_num = '451aebb31d03'")
    with pytest.raises(InputError, match=r"mlflow db upgrade '?postgresql\+psycopg://"):
        MlflowTracking(place.uri(store), str(tmp_path), "trial").prepare()


def test_what_a_kill_left_of_the_tables_is_completed(place, empty, tmp_path):
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    engine = create_engine(with_driver(place.uri(empty)))
    Base.metadata.create_all(engine)
    engine.dispose()
    MlflowTracking(place.uri(empty), str(tmp_path), "trial").prepare()
    assert runs(place.uri(empty), "trial")[1] == []


@pytest.mark.parametrize(
    ("address", "environment", "said"),
    [
        ("127.0.0.1:{port}/nowhere", {}, '"nowhere" does not exist.*createdb -h 127.0.0.1 -p {port} nowhere$'),
        ("/nowhere?host={folder}&port={port}", {}, "createdb -h {folder} -p {port} nowhere$"),
        ("127.0.0.1:{port}/x", {"PGPASSWORD": "wr0ng"}, "authentication failed.*PGUSER and PGPASSWORD, or in ~/.pgp"),
        ("127.0.0.1:{port}/x", {"PGPASSWORD": ""}, "no password supplied.*PGUSER and PGPASSWORD, or in ~/.pgpass"),
        ("127.0.0.1:9/x", {}, "refused.*start the server, see to host and port"),
        ("/x?host=/nowhere", {}, "No such file.*start the server, see to host and port"),
        ("nowhere.invalid/x", {}, "start the server, see to host and port"),
        ("127.0.0.1:port/x", {}, "write postgresql://HOST:PORT/DATABASE"),
        ("127.0.0.1/x?colour=red", {}, "write postgresql://HOST:PORT/DATABASE"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(place, tmp_path, monkeypatch, address, environment, said):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    uri = f"postgresql://{address}".format(**place._asdict())
    with pytest.raises(InputError, match=said.format(**place._asdict())) as caught:
        MlflowTracking(uri, str(tmp_path), "trial").prepare()
    assert str(caught.value).startswith(f"{uri}: ")
    assert "\n" not in str(caught.value)
    assert "wr0ng" not in str(caught.value)


def test_a_user_without_rights_is_told_what_to_ask_for(place, empty, store, tmp_path, monkeypatch):
    guest = f"{empty}_guest"
    place.ask("postgres", f"create role {guest} login password 'guest'")
    monkeypatch.setenv("PGUSER", guest)
    monkeypatch.setenv("PGPASSWORD", "guest")
    try:
        with pytest.raises(InputError, match=f"-d {empty} -c 'grant all on schema public to USER'$"):
            MlflowTracking(place.uri(empty), str(tmp_path), "trial").prepare()
        with pytest.raises(InputError, match="reach it as the user who has made its tables"):
            MlflowTracking(place.uri(store), str(tmp_path), "trial").prepare()
    finally:
        place.ask("postgres", f"drop role {guest}")


def test_one_that_does_not_answer_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=2"
        with pytest.raises(InputError, match=r"timeout.*start the server, see to host and port"):
            MlflowTracking(uri, str(tmp_path), "trial").prepare()


def test_a_missing_driver_is_named(place, tmp_path):
    (tmp_path / "psycopg.py").write_text("""raise ModuleNotFoundError("No module named 'psycopg'")""")
    code = (
        "from hiexp.tracking import MlflowTracking\n"
        f"MlflowTracking('{place.uri('x')}', 'artifacts', 'trial').prepare()"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "pip install 'hiexp[postgres]'" in result.stderr.splitlines()[-1]


def test_an_empty_database_is_not_filled_by_a_comparison(place, empty):
    with pytest.raises(InputError, match=f"--uri {place.uri(empty)}: no such store"):
        compare(parsed(["--uri", place.uri(empty)]), [])
    assert place.ask(empty, "select * from pg_tables where schemaname = 'public'") == []


def test_a_server_before_it_that_goes_away_in_mid_sweep_gets_everything_later(place, store, tmp_path):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with server(tmp_path, port, with_driver(place.uri(store))) as process:
        words = ["-m", *QUICK, "random_state=1,2", "tracking=server", f"tracking.uri={uri}"]
        sweep = start_training(*words, cwd=tmp_path)
        wait_until(lambda: sweep.poll() is not None or list(tmp_path.glob("runs/*/*_sweep/1")))
        os.killpg(process.pid, signal.SIGKILL)
        said = sweep.communicate(timeout=300)[0]
    assert sweep.returncode == 0, said
    assert "2 of 2 jobs done" in said
    kept = list(tmp_path.rglob("record.json"))
    assert kept

    with server(tmp_path, port, with_driver(place.uri(store))):
        sent = list(resend_pending(tmp_path / "runs"))
        assert len(sent) == len(kept)
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name("hiexp")
        assert experiment.artifact_location.startswith("mlflow-artifacts:")
        found = client.search_runs([experiment.experiment_id])
        assert [run.info.status for run in found] == ["FINISHED"] * 3
        for run in found:
            held = {file.path for file in client.list_artifacts(run.info.run_id)}
            assert ("ranking.csv" if run.data.tags.get("kind") == "sweep" else "predictions.csv") in held
    assert list((tmp_path / "kept").rglob("ranking.csv"))
