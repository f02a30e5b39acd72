"""How time, memory and disk grow with the number of spectra.

    python benchmarks/million.py [fit|train] [number of spectra ...] [key=value ...]

Fits 10,000 and 100,000 model spectra of 1,024 channels, or as many as are given (1000000), by the command of a user,
in a folder that is empty at first: ``python -m hiexp.fit fit=busy dataset=mock_alfalfa``. With ``train`` it is
``python -m hiexp.train`` with groups of the clusterer and a random forest on measures of asymmetry.

Printed are spectra a second, all stages and the start of the processes counted in; the peak of the anonymous memory
of the command and all that it starts, which is what an allocation of a cluster has to grant: what is mapped from a
file the system takes back when it likes; the bytes on disk of run folder, cache and store, a file with several names
counted once; and what an object more takes of each. ``TMPDIR`` chooses the disk.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from processes import anonymous

SIZES = (10_000, 100_000)
EVERY = 0.1  # seconds between two looks at the memory
COMMANDS = {
    "fit": ["hiexp.fit", "fit=busy"],
    "train": [
        "hiexp.train",
        "fit=busy",
        "feature=asymmetry",
        "labels=cluster",
        "clusterer=kmeans",
        "classifier=random_forest",
    ],
}


class Cost(NamedTuple):
    """What a command has taken: seconds, peak of anonymous memory and disk (bytes)."""

    seconds: float
    memory: int
    disk: int


def cost(command: list[str], n: int) -> Cost:
    """Run a command on so many spectra in an empty folder."""
    folder = Path(tempfile.mkdtemp(prefix="million-"))
    try:
        words = [f"root={folder}", "dataset=mock_alfalfa", f"dataset.n_galaxies={n}"]
        start, most = time.perf_counter(), 0
        with subprocess.Popen([sys.executable, "-m", *command, *words], stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                most = max(most, anonymous(process.pid))
                time.sleep(EVERY)
        if process.returncode:
            sys.exit(process.returncode)
        return Cost(time.perf_counter() - start, most, on_disk(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def on_disk(folder: Path) -> int:
    """Return the bytes of a folder's files, each counted once whatever names it has."""
    files = {status.st_ino: status.st_blocks * 512 for file in folder.rglob("*") if (status := file.lstat())}
    return sum(files.values())


def main(words: list[str]) -> None:
    """Print the table."""
    kind = words.pop(0) if words and words[0] in COMMANDS else "fit"
    sizes = [int(word) for word in words if word.isdigit()] or [*SIZES]
    command = [*COMMANDS[kind], *(word for word in words if not word.isdigit())]
    print(
        f"{'spectra':>10}{'seconds':>10}{'spectra/s':>11}{'memory, GB':>12}{'disk, GB':>10}  an object more: KB, KB"
    )
    before: tuple[int, Cost] | None = None
    for n in sizes:
        taken = cost(command, n)
        row = (
            f"{n:10,}{taken.seconds:10.0f}{n / taken.seconds:11.0f}{taken.memory / 1e9:12.2f}{taken.disk / 1e9:10.2f}"
        )
        if before is not None:
            more = n - before[0]
            growth = (taken.memory - before[1].memory) / more / 1e3, (taken.disk - before[1].disk) / more / 1e3
            row += f"  {growth[0]:.2f} KB of memory, {growth[1]:.1f} KB of disk"
        print(row, flush=True)
        before = n, taken


if __name__ == "__main__":
    main(sys.argv[1:])
