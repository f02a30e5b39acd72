"""CPU seconds of each command from the shell to its first prediction and to its end, and what it imports.

    python benchmarks/starts.py [rounds, 5 if not given]

Commands run on 318 model galaxies whose sky, fits and features are in the cache. Baseline: an interpreter that
imports NumPy and Hydra. Rounds of all alternate; medians are compared. The second table is of one more run of each
under ``-X importtime``: wall milliseconds that the modules of a package take themselves, and with all that they were
the first to import.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median

from history import record

ROUNDS = 5
SHOWN = 8  # packages of a command
LEAST = 50  # milliseconds of a package that is shown
PREDICTED = "Trained in"  # what hiexp.train says once the classes of all objects are predicted
KNN = ["-m", "hiexp.train", "classifier=knn"]
COMMANDS = {
    "NumPy and Hydra": ["-c", "import hydra, numpy"],
    "train, knn": KNN,
    "train, knn, no tracking": [*KNN, "tracking=none"],
    "train, cnn": ["-m", "hiexp.train", "epochs=1", "classifier.checkpoints=null"],
    "fit": ["-m", "hiexp.fit"],
    "predict": ["-m", "hiexp.predict", "run=runs/knn", "dataset=mock_cig"],
    "compare": ["-m", "hiexp.compare"],
    "status": ["-m", "hiexp.status"],
    "sync": ["-m", "hiexp.sync"],
    **{
        f"{name} --help": ["-m", f"hiexp.{name}", "--help"]
        for name in ("train", "fit", "predict", "compare", "status", "sync")
    },
}


def cpu_of(process: int) -> float:
    """Return the CPU seconds that a process has taken so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(words: list[str], folder: Path) -> tuple[float | None, float]:
    """Return CPU seconds to the first prediction, where there is one, and to the end."""
    before, first = resource.getrusage(resource.RUSAGE_CHILDREN), None
    with subprocess.Popen(
        [sys.executable, *words], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        for line in process.stdout:
            if line.startswith(PREDICTED):
                first = cpu_of(process.pid)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: status {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return first, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def imports(words: list[str], folder: Path) -> list[tuple[str, float, float]]:
    """Return packages with milliseconds of their own modules, and with all that these import, the slowest first."""
    said = subprocess.run(
        [sys.executable, "-X", "importtime", *words], cwd=folder, text=True, capture_output=True, check=True
    ).stderr
    own, together = Counter(), Counter()
    above: list[tuple[int, str]] = []  # depth and package, from the outermost, of what is being imported
    for line in reversed(said.splitlines()):  # which has what is imported before what imports it
        if found := re.match(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)", line):
            depth, package = len(found[3]), found[4].partition(".")[0]
            while above and above[-1][0] >= depth:
                above.pop()
            own[package] += int(found[1]) / 1000
            if package not in {name for _, name in above}:
                together[package] += int(found[2]) / 1000
            above.append((depth, package))
    return [(package, spent, together[package]) for package, spent in own.most_common(SHOWN)]


def main(rounds: int) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words in ([*KNN, "hydra.run.dir=runs/knn"], [*KNN[:2], "-m", *KNN[2:]], COMMANDS["train, cnn"]):
            run(words, folder)
        spent = {name: [] for name in COMMANDS}
        for _ in range(rounds):
            for command, words in COMMANDS.items():
                spent[command].append(run(words, folder))
        baseline, *_ = (median(end for _, end in times) for times in spent.values())
        print(f"CPU seconds, medians of {rounds}        to a prediction   to the end   ratio to the baseline")
        for command, times in spent.items():
            first = f"{median(first for first, _ in times):.2f}" if times[0][0] else ""
            end = median(end for _, end in times)
            print(f"{command:30}{first:>18}{end:>13.2f}{end / baseline:>16.1f}")
            record(command, end / baseline, cpu_seconds=end)
        print("\nWall milliseconds of imports: own modules / with what they import")
        for command, words in COMMANDS.items():
            slowest = [f"{one} {own:.0f}/{all_:.0f}" for one, own, all_ in imports(words, folder) if own >= LEAST]
            print(f"{command:26}{', '.join(slowest)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
