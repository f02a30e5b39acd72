"""What was measured, of which commit and where: ``history.jsonl``, a line each time.

    python benchmarks/history.py [script ...]

The scripts beside this one call `record`. This prints the last ratios side by side, today's at the right, of all
scripts or of those named. Ratios of two machines may differ; their names are below.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

HISTORY = Path(__file__).with_name("history.jsonl")
SHOWN = 5  # columns


def record(what: str, ratio: float, **figures: float) -> None:
    """Add a line.

    Parameters
    ----------
    what : str
        What was measured, the size of the sample included: only lines of the same words are compared.
    ratio : float
        How many times as much the baseline of the script takes.
    figures : float
        Seconds, bytes and the like, by name with the unit at its end.
    """
    line = {
        "script": Path(sys.argv[0]).stem,
        "what": what,
        "ratio": float(f"{ratio:.4g}"),
        **{name: float(f"{value:.4g}") for name, value in figures.items()},
        "date": f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}",
        "commit": _commit(),
        "machine": _machine(),
    }
    with HISTORY.open("a") as history:
        history.write(json.dumps(line) + "\n")


def table(scripts: list[str]) -> pd.DataFrame:
    """Return the ratios: rows are what was measured, columns days, commits and machines, today at the right."""
    rows = pd.DataFrame(json.loads(line) for line in HISTORY.read_text().splitlines())
    rows = rows[rows["script"].isin(scripts or rows["script"])]
    rows["machine"] = pd.Categorical(rows["machine"], rows["machine"].unique())
    rows["when"] = list(
        zip(rows["date"], rows["commit"], "machine " + rows["machine"].cat.codes.astype(str), strict=True)
    )
    shown = rows.pivot_table("ratio", ["script", "what"], "when", aggfunc="last")[rows["when"].unique()[-SHOWN:]]
    shown.columns = pd.MultiIndex.from_tuples(shown.columns, names=["", "", "ratios"])
    shown.attrs["machines"] = dict(enumerate(rows["machine"].cat.categories))
    return shown.dropna(how="all")


def _commit() -> str:
    """Return the commit of the code, with a + where files differ from it."""
    git = ["git", "-C", str(HISTORY.parent), "describe", "--always", "--exclude=*", "--dirty=+"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _machine() -> str:
    """Return the processor and the number of its cores that this process may use."""
    found = (
        re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()) if sys.platform == "linux" else None
    )
    return f"{found[1] if found else platform.processor()}, {len(os.sched_getaffinity(0))} cores"


if __name__ == "__main__":
    ratios = table(sys.argv[1:])
    print(ratios.to_string(na_rep="", float_format="{:.4g}".format))
    for number, name in ratios.attrs["machines"].items():
        print(f"machine {number}: {name}")
