"""The installed commands beside ``python -m``, and what bash completes of their words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent
COMPLETED = """
eval "$(hiexp-train -sc install=bash)"
COMP_LINE="hiexp-train $1"
COMP_POINT=${#COMP_LINE}
COMP_CWORD=1
COMP_WORDS=(hiexp-train "$1")
"$(complete -p hiexp-train | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
echo "${COMPREPLY[@]}"
"""


def run(*words, cwd):
    if not (SCRIPTS / "hiexp-train").exists():
        pytest.skip("hiexp is not installed in this environment: there is no command hiexp-train")
    search = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    result = subprocess.run(
        words, cwd=cwd, env=os.environ | {"PATH": search}, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("model=", {"model=simple", "model=medium", "model=complex"}),
        ("classifier=r", {"classifier=random_forest"}),
        ("classif", {"classifier.", "classifier="}),
        ("fit.min", {"fit.min_snr="}),
    ],
)
def test_bash_completes_groups_members_and_keys(tmp_path, typed, offered):
    completed = run("bash", "--norc", "-c", COMPLETED, "bash", typed, cwd=tmp_path).split()
    assert offered <= set(completed)
    assert all(word.startswith(typed) for word in completed)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["train", "fit", "predict", "compare", "sync", "download"])
def test_every_command_is_installed(tmp_path, name):
    assert f"hiexp.{name}" in run(f"hiexp-{name}", "--help", cwd=tmp_path)
