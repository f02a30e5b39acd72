"""Sweeps whose jobs run elsewhere, and jobs that come to a bad end there."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

QUICK = ["dataset.n_galaxies=60", "fit=none", "feature=raw", "classifier=knn", "evaluation.permutations=20"]

SQUEUE = shutil.which("squeue")

# Of a user's own: waits, dies, or is a usual classifier.
FATEFUL = """
import os
import signal
import time
from pathlib import Path

from sklearn.neighbors import KNeighborsClassifier


class Fateful(KNeighborsClassifier):
    def __init__(self, n_neighbors=5, algorithm="brute", fate="none"):
        super().__init__(n_neighbors, algorithm=algorithm)
        self.fate = fate

    def fit(self, X, y):
        with open(f"fits_{self.fate}.txt", "a") as note:
            note.write(f"{os.getpid()}\\n")
        if self.fate.startswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        while self.fate.startswith("wait") and not Path(f"go_{self.fate}").exists():
            time.sleep(0.1)
        return super().fit(X, y)
"""


def fateful_sweep(folder: Path, *fates: str) -> list[str]:
    """Return the words of a sweep over `fates`: "die...", "wait..." for a file ``go_wait...``, or anything else."""
    (folder / "fateful.py").write_text(FATEFUL)
    return ["-m", *QUICK, "classifier._target_=fateful.Fateful", f"+classifier.fate={','.join(fates)}"]


def wait_until(met: Callable[[], bool], seconds: float = 300) -> None:
    """Return as soon as a condition is met; say what SLURM's queue holds where it is not met in time."""
    until = time.monotonic() + seconds
    while not met():
        if time.monotonic() > until:
            seen = subprocess.run(["squeue", "-r"], capture_output=True, text=True, check=False) if SQUEUE else None
            raise TimeoutError(f"it has not come about within {seconds} s; {seen.stdout if seen else 'no queue'}")
        time.sleep(0.2)


def the_sweep(folder: Path) -> Path:
    """Return the folder of the single sweep below `folder`."""
    (file,) = folder.glob("runs/*/*/.sweep.json")
    return file.parent


def submitted(sweep: Path) -> dict[str, str]:
    """Return SLURM's names of the jobs of a detached sweep, by number, and of the one that ends it."""
    said = json.loads((sweep / ".sweep.json").read_text())
    return said["submitted"] | {"ending": said["ending"]}


def slurm_is_there() -> bool:
    """Return whether a SLURM with accounting answers."""
    return bool(shutil.which("sbatch")) and all(
        subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0
        for words in (["sinfo"], ["sacct"])
    )


needs_slurm = pytest.mark.skipif(not slurm_is_there(), reason="no SLURM answers here (sinfo, sacct)")
