"""What is asked of a folder that is no sweep's, or that something has damaged."""

import json

import pytest
from helpers.commands import command


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"uid": "u"}', json.dumps({"uid": 3, "parent": [], "n_jobs": "x"})]
)
def test_a_damaged_sweep_is_said_in_one_line(tmp_path, content):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".sweep.json").write_text(content)
    result = command("hiexp.status", "mine", cwd=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("hiexp.status: mine/.sweep.json: damaged, or of another version; the command of the sweep")


def test_a_folder_without_a_sweep_is_said_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, said in (("empty", "no sweep is in this folder"), ("nowhere", "no such folder")):
        result = command("hiexp.status", folder, "--follow", cwd=tmp_path)
        assert result.returncode == 1
        assert result.stderr == f"hiexp.status: {folder}: {said}; give runs/<date>/<time>_sweep\n"
