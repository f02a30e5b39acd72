"""Places that cannot be used are refused before anything is written there."""

import base64
import errno
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from filelock import Timeout
from helpers.commands import train
from helpers.configuration import composed

from hiexp.errors import InputError
from hiexp.locks import locked
from hiexp.run import reuse
from hiexp.run.checks import check_places
from hiexp.tracking.credentials import has_password, redacted, take_credentials

QUICK = ["dataset.n_galaxies=60", "fit=none", "feature=raw", "classifier=knn", "evaluation.permutations=20"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra.run.dir=."], r"hydra\.run\.dir=\.: .* lies in this folder"),
        (["hydra.run.dir=mlruns"], r"hydra\.run\.dir=mlruns: .* lies in this folder"),
        (["hydra.run.dir=elsewhere", "tracking.artifacts=elsewhere/in/it"], "elsewhere/in/it lies in this folder"),
        (["hydra.run.dir=elsewhere", "cache.folder=elsewhere"], "elsewhere lies in this folder"),
        (["hydra.job.chdir=true"], r"hydra\.job\.chdir=true: paths would no longer start"),
        (["root="], "root=: name the folder"),
        (["root=a?b"], r"root=a\?b: MLflow reads"),
        (["root=a%20b"], "root=a%20b: MLflow reads"),
        (["root=file"], "root=file: .*choose another folder"),
        (["tracking.uri=file:///tmp/mlruns"], "tracking.uri=file:///tmp/mlruns: give http://HOST:PORT"),
        (["tracking.uri=mysql://host/x"], "tracking.uri=mysql://host/x: give .* others are reached through a server"),
        (["tracking.uri=elsewhere"], "tracking.uri=elsewhere: give http://HOST:PORT"),
        (["tracking.uri=https://secret@127.0.0.1"], "tracking.uri=https://127.0.0.1: a password in a file"),
        (["tracking.uri=http://me:secret@127.0.0.1"], "tracking.uri=http://127.0.0.1: a password in a file"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_places_that_cannot_be_used(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=said) as refused:
        check_places(composed(*words, hydra=True), "hydra.run.dir")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("words", [[], ["hydra.run.dir=mine"], ["root=elsewhere", "hydra.run.dir=mine"]])
def test_places_that_can(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    check_places(composed(*words, hydra=True), "hydra.run.dir")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra.run.dir=."], "hydra.run.dir=.: runs lies in this folder"),
        (["-m", "random_state=1,2", "hydra.sweep.dir=."], "hydra.sweep.dir=.: runs lies in this folder"),
        (["hydra.run.dir=link"], "hydra.run.dir=link: File exists (link); choose another folder"),
        ([f"hydra.run.dir={'a' * 300}"], f"hydra.run.dir={'a' * 300}: File name too long; choose another folder"),
        (["-m", "random_state=1,2", "hydra.sweep.dir=/dev/null"], "hydra.sweep.dir=/dev/null: this is no folder"),
        (["-m", "random_state=1,2", "hydra.sweep.subdir=one"], "hydra.sweep.subdir=one: all jobs would share"),
    ],
)
def test_the_command_refuses_them_in_one_line(tmp_path, words, said):
    (tmp_path / "link").symlink_to("nowhere/at/all")
    result = train(*words, *QUICK, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_disk_without_locks_names_the_key_that_chooses_another(tmp_path, monkeypatch):
    def refuses(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuses)
    cfg = composed("tracking=none", f"root={tmp_path}")
    with (
        pytest.raises(InputError, match=r"root=.*takes no lock \(No locks available\).*root=FOLDER"),
        reuse.work_lock(cfg, "key", tmp_path, in_sweep=True),
    ):
        pass


def test_a_lock_excludes_others_and_leaves_no_file(tmp_path):
    file = tmp_path / "locks" / "a.lock"
    with locked(file):
        assert file.exists()
        with pytest.raises(Timeout), locked(file, timeout=0):
            pass
        assert file.exists()
    assert not file.exists()


def test_a_working_folder_that_is_gone_is_said(tmp_path):
    (tmp_path / "gone").mkdir()
    code = "cd gone && rmdir ../gone && exec $0 -m hiexp.train"
    result = subprocess.run(["sh", "-c", code, sys.executable], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "the folder in which this is typed has been deleted; change to another one\n"


HTTP, POSTGRES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"), ("PGUSER", "PGPASSWORD")


@pytest.mark.parametrize(
    ("text", "without", "variables", "password"),
    [
        ("http://me:secret@host:5000/x", "http://host:5000/x", HTTP, "secret"),
        ("tracking.uri=https://me:se%40cret@host", "tracking.uri=https://host", HTTP, "se@cret"),
        ("uri=postgresql+psycopg://me:secret@host/d", "uri=postgresql+psycopg://host/d", POSTGRES, "secret"),
    ],
)
def test_a_password_goes_into_the_environment(monkeypatch, text, without, variables, password):
    for variable in variables:
        monkeypatch.setenv(variable, "")
    assert has_password(text)
    assert take_credentials(text) == redacted(text) == without
    assert [os.environ[variable] for variable in variables] == ["me", password]


@pytest.mark.parametrize(
    "text",
    [
        "mysql://me:secret@host/d",
        "http://me:se/cret@host",
        "http://me:se@cret@host",
        "http://me:se?cret@host",
        "https://secret@host/x",
        "postgresql://host/d?sslmode=require&password=secret",
        "tracking.uri=postgresql:///d?password=secret",
    ],
)
def test_a_password_that_cannot_is_refused_and_not_shown(text):
    with pytest.raises(InputError) as refused:
        take_credentials(text)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["sqlite:///runs/me@home/mlflow.db", "http://host:5000", "a:b@c", "postgresql://me@host/x"]
)
def test_addresses_without_a_password_stay_as_they_are(text):
    assert take_credentials(text) == redacted(text) == text


@pytest.mark.slow
def test_a_password_reaches_the_server_and_no_file(tmp_path):
    """The server of this test knows nothing of MLflow: what it is asked with is all that counts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = []
        threading.Thread(target=_answer, args=(server, asked), daemon=True).start()
        words = ["tracking=server", f"tracking.uri=http://me:53cret@127.0.0.1:{server.getsockname()[1]}"]
        results = [train(*words, *QUICK, cwd=tmp_path), train("-m", "random_state=1,2", *words, *QUICK, cwd=tmp_path)]
    assert any(base64.b64encode(b"me:53cret") in request for request in asked)
    for result in results:
        assert result.returncode == 1
        assert "53cret" not in result.stdout + result.stderr
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"53cret" not in file.read_bytes(), file


def _answer(server, asked):
    with suppress(OSError):  # until it is closed
        while True:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(1)
                with suppress(TimeoutError):
                    asked.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
