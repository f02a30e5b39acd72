"""What benchmarks have measured is kept, and shown beside what they measure now."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

HISTORY = Path(__file__).parents[2] / "benchmarks" / "history.py"
MEASURE = "import history; history.record('{}', {}, seconds=2.5)"


def test_ratios_of_several_days_stand_side_by_side(tmp_path):
    shutil.copy(HISTORY, tmp_path)
    for what, ratio in {"9 images": 3, "31502 images": 40.125}.items():
        subprocess.run([sys.executable, "-c", MEASURE.format(what, ratio)], cwd=tmp_path, check=True)
    file = tmp_path / "history.jsonl"
    now = [json.loads(line) for line in file.read_text().splitlines()]
    before = {**now[0], "ratio": 2.5, "date": "2001-02-03", "commit": "abcdef1", "machine": "Cray-1, 1 cores"}
    file.write_text("\n".join(map(json.dumps, [before, *now])) + "\n")
    shown = subprocess.run([sys.executable, HISTORY.name], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = shown.stdout.splitlines()
    (old_and_new,) = [line for line in lines if "9 images" in line]
    assert old_and_new.split()[-2:] == ["2.5", "3"]
    assert next(line for line in lines if "31502 images" in line).split()[-1] == "40.12"
    assert "machine 0: Cray-1, 1 cores" in lines
    assert now[0]["seconds"] == 2.5
    assert now[0]["machine"] in shown.stdout
