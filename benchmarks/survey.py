"""Seconds a stage of the study's 18 configurations, and how they grow with the sample.

    python benchmarks/survey.py [number of spectra ..., 1000 3162 10000 31502 if none is given]

Runs ``python -m hiexp.train +experiment=alfalfa18`` on model spectra of 1,024 channels, each size in an empty
folder, and adds up what the jobs have recorded: the fits and, for each of six clusterers, groups and shapelets are
computed by one job and read by the others. Baseline: the same stages without a cache, every job computing its own:
the seconds of the job that did, times the jobs that would have had to.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from history import record
from processes import peak_memory

N_JOBS = 18
SIZES = (1000, 3162, 10_000, 31_502)
STAGES = ("fit", "labels", "feature", "train", "predict")
JOBS_A_RESULT = {"fit": 18, "labels": 3, "feature": 3, "train": 1, "predict": 1}


def sweep(n: int) -> pd.Series:
    """Run the experiment on `n` spectra; return its seconds and the most memory that its processes have held."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hiexp.train", "+experiment=alfalfa18", f"dataset.n_galaxies={n}"]
        with (Path(folder) / "screen").open("w") as screen:
            start = time.perf_counter()
            memory = peak_memory(
                lambda: subprocess.run(command, cwd=folder, stdout=screen, stderr=subprocess.STDOUT, check=False)
            )
            total = time.perf_counter() - start
        jobs = [json.loads(file.read_text()) for file in Path(folder).glob("runs/*/*/*/metrics.json")]
        if len(jobs) < N_JOBS:
            raise SystemExit(
                f"{len(jobs)} of {N_JOBS} jobs have ended:\n{(Path(folder) / 'screen').read_text()[-2000:]}"
            )
    spent = {stage: sum(job.get(f"{stage}_seconds", 0) for job in jobs) for stage in STAGES}
    rest = total - sum(spent.values())
    saved = sum(seconds * (JOBS_A_RESULT[stage] - 1) for stage, seconds in spent.items())
    counted = {"rest": rest, "total": total, "without cache": total + saved, "jobs": len(jobs), "GiB": memory}
    return pd.Series(spent | counted)


def main(sizes: list[int]) -> None:
    """Print a column a size."""
    table = pd.DataFrame({n: sweep(n) for n in sizes})
    table.loc["ratio"] = table.loc["without cache"] / table.loc["total"]
    for n, column in table.items():
        record(f"alfalfa18 of {n}", column["ratio"], seconds=column["total"], rest_seconds=column["rest"])
    print("18 configurations; seconds of all jobs together, GiB, and how many times as long it takes without a cache")
    print(table.round(1).to_string())


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or list(SIZES))
