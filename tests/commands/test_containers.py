"""Containers: no entry in the list of users, no home, nothing that may be written but what root= names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import only_run

from hiexp import containers
from hiexp.run import provenance

FOREIGN = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "env", "-i", f"PATH={os.environ['PATH']}"]


def test_a_user_without_an_entry_has_a_home_of_her_own(tmp_path, monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(containers.Path, "home", unknown)
    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    containers.provide_folders()
    home = Path(os.environ["HOME"])
    assert home.parent == tmp_path
    assert home.stat().st_mode & 0o777 == 0o700
    assert containers.own_temporary_folder() == home
    home.chmod(0o777)  # code that numba would run could be put there by anyone
    assert containers.own_temporary_folder() != home


def test_such_a_user_has_a_number_for_a_name(monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert provenance.run_tags("python -m hiexp.train", Path())["mlflow.user"] == str(os.getuid())


@pytest.mark.parametrize("home", [[], ["HOME=/nonexistent"]], ids=["no home", "a home that is not there"])
def test_the_command_in_a_container(tmp_path, home):
    if subprocess.run([*FOREIGN, sys.executable, "-c", "import hiexp"], capture_output=True).returncode:
        pytest.skip("another user cannot be tried here")
    (tmp_path / "here").mkdir(mode=0o555)
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    words = ["dataset.n_galaxies=60", "fit=gaussian", "feature.size=16", "epochs=1", f"root={tmp_path}/out/mine"]
    result = subprocess.run(
        [*FOREIGN, *home, sys.executable, "-m", "hiexp.train", *words],
        cwd=tmp_path / "here",
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (only_run(tmp_path / "out" / "mine") / "predictions.csv").is_file()
