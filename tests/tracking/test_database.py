"""The store of a folder is there whole or not at all; one that cannot be used says what to do."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from helpers.commands import train
from mlflow import MlflowClient

from hiexp.errors import InputError
from hiexp.tracking.mlflow_store import MlflowTracking

PREPARE = """
import sys
from hiexp.tracking.mlflow_store import MlflowTracking
MlflowTracking(f"sqlite:///{sys.argv[1]}/mlflow.db", None, "hiexp").prepare()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    tracking(folder).prepare()
    return folder / "mlflow.db"


def tracking(folder, experiment="hiexp"):
    return MlflowTracking(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"), experiment)


@pytest.mark.slow
@pytest.mark.parametrize("step", range(4))
def test_a_kill_while_the_store_is_made_leaves_none(tmp_path, step):
    process = subprocess.Popen([sys.executable, "-c", PREPARE, str(tmp_path)], stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.glob(".mlflow.db.*")):
        time.sleep(0.005)
    time.sleep(0.4 * step)  # it takes two seconds
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = (tmp_path / "mlflow.db").exists()
    tracking(tmp_path).prepare()
    assert MlflowClient(tracking(tmp_path).uri).get_experiment_by_name("hiexp") is not None
    assert {entry.name for entry in tmp_path.iterdir()} == {"mlflow.db"}, f"step {step}: whole {whole}"


def emptied(file):
    file.write_bytes(b"")


def half_made(file):
    """As a kill leaves it where MLflow makes the tables under the final name."""
    with sqlite3.connect(file) as database:
        database.execute("drop table alembic_version")


def of_an_earlier_step(file):
    with sqlite3.connect(file) as database:
        database.execute("update alembic_version set version_num = '451aebb31d03'")


@pytest.mark.slow
@pytest.mark.parametrize("harm", [emptied, half_made, of_an_earlier_step])
def test_an_unfinished_store_without_runs_is_made_anew(tmp_path, made, harm):
    shutil.copy(made, tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("delete from experiments where name = 'hiexp'")
    harm(tmp_path / "mlflow.db")
    long_ago = time.time() - 100
    os.utime(tmp_path / "mlflow.db", (long_ago, long_ago))
    tracking(tmp_path).prepare()
    with tracking(tmp_path).run("a run", {}, {}, tmp_path / "artifacts"):
        (tmp_path / "artifacts").mkdir(exist_ok=True)


@pytest.mark.slow
def test_a_store_that_another_process_is_making_is_waited_for(tmp_path, made):
    file = tmp_path / "mlflow.db"
    shutil.copy(made, file)
    half_made(file)
    with sqlite3.connect(file) as database:
        database.executescript("delete from experiment_tags; delete from experiments where name = 'hiexp'")
    before = file.stat().st_ino
    rest = [
        "create table alembic_version (version_num text)",
        f"insert into alembic_version values ('{newest(made)}')",
    ]
    others = threading.Timer(2, lambda: sqlite3.connect(file).executescript(";".join(rest)))
    others.start()
    tracking(tmp_path).prepare()
    others.join()
    assert file.stat().st_ino == before  # what they have open is what we record in
    assert MlflowClient(tracking(tmp_path).uri).get_experiment_by_name("hiexp") is not None


def newest(store):
    with sqlite3.connect(store) as database:
        return database.execute("select version_num from alembic_version").fetchone()[0]


def with_a_run(file):
    with sqlite3.connect(file) as database:
        (experiment,) = database.execute("select experiment_id from experiments where name = 'hiexp'").fetchone()
        database.execute(f"insert into runs (run_uuid, experiment_id) values ('1', {experiment})")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda file: file.write_bytes(b"no database" * 1000), "is not a database.*move it away"),
        (lambda file: file.write_bytes(file.read_bytes()[:20_000]), "malformed.*move it away"),
        (of_an_earlier_step, "another version of MLflow.*mlflow db upgrade"),
    ],
    ids=["text", "truncated", "old"],
)
def test_a_store_that_cannot_be_used_says_what_to_do(tmp_path, made, harm, said):
    file = tmp_path / "mlflow.db"
    shutil.copy(made, file)
    with_a_run(file)
    harm(file)
    before = file.read_bytes()
    with pytest.raises(InputError, match=said):
        tracking(tmp_path).prepare()
    assert file.read_bytes() == before


def test_a_database_of_something_else_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("create table galaxies (name text)")
    with pytest.raises(InputError, match="a database of something else"):
        tracking(tmp_path).prepare()


def test_a_deleted_experiment_does_not_stand_in_the_way_of_others(tmp_path, made):
    shutil.copy(made, tmp_path)
    client = MlflowClient(tracking(tmp_path).uri)
    client.delete_experiment(client.get_experiment_by_name("hiexp").experiment_id)
    with pytest.raises(InputError, match=r"experiment_name=hiexp: this experiment was deleted.*restore"):
        tracking(tmp_path).prepare()
    tracking(tmp_path, "other").prepare()


def test_an_experiment_whose_files_a_server_keeps_is_left_to_the_server(tmp_path, made):
    shutil.copy(made, tmp_path)
    MlflowClient(tracking(tmp_path).uri).create_experiment("served", artifact_location="mlflow-artifacts:/9")
    with pytest.raises(InputError, match=r"experiment_name=served: a server keeps the files.*tracking=server"):
        tracking(tmp_path, "served").prepare()


@pytest.mark.slow
def test_a_full_disk_is_said_in_one_line(tmp_path):
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        result = train("dataset.n_galaxies=60", "feature=raw", "classifier=knn", "fit=none", cwd=tmp_path)
        assert result.returncode == 1
        assert "Traceback" not in result.stdout + result.stderr
        assert "root=" in result.stderr
        assert not (tmp_path / "mlruns" / "mlflow.db").exists()
    finally:
        subprocess.run(["umount", tmp_path], check=True)
