"""What the end of a sweep of thousands of configurations costs, and what ``hiexp.compare`` does with it.

    python benchmarks/thousands.py [configurations ..., 60 250 1000 4000 if not given]

A sweep of two jobs is run, and its first job is written again for each configuration: other settings, another part of
the 318 objects held out, other predictions and scores. CPU seconds are those of the end of such a sweep (reading,
verdict, screen, ranking, picture, page; the libraries imported before) and of the process ``hiexp.compare --sweep
FOLDER``. Exponents are those of the configurations between neighbouring lines; n log n has 1.1 to 1.2. Baseline: the
tables of the verdict alone, counted one at a time with ``numpy.bincount`` for a few configurations and extrapolated.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from history import record

from hiexp.comparison.runs import read_sweep
from hiexp.comparison.text import report_text
from hiexp.csv_tables import write_csv
from hiexp.evaluation.metrics import table_scores
from hiexp.sweep.report import judged, verdict_metrics, write_report

SIZES = (60, 250, 1000, 4000)
MEASURE = "balanced_accuracy"
N_DRAWS = 1000
FEW = 3  # configurations of the baseline
# Of the job that is run; none of these texts is anywhere else in its files.
NEIGHBOURS, STATE, SIZE = 13, 4242, 0.3125
GRID = {"random_state": [1, 2, 3, 4, 5], "test_size": [0.3, 0.4, 0.5, 0.7]}
LINKED = ("plots/classes.png", "plots/parameters_by_class.png")
WRITTEN = (".hydra/hydra.yaml", ".hydra/overrides.yaml", "config.yaml")


def small_sweep(folder: Path) -> Path:
    """Run a sweep of two jobs as a user does, and return its folder."""
    words = [f"classifier.n_neighbors={NEIGHBOURS},3", f"random_state={STATE}", f"test_size={SIZE}"]
    command = [sys.executable, "-m", "hiexp.train", "-m", "classifier=knn", "feature=raw", *words, "tracking=none"]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    (sweep,) = folder.glob("runs/*/*_sweep")
    return sweep


def replaced(text: str, words: dict[str, str]) -> str:
    """Return a text with some words replaced."""
    return re.sub("|".join(words), lambda match: words[match[0]], text)


def write_sweep(template: Path, folder: Path, n: int) -> Path:
    """Write the folder of a sweep of `n` configurations, made from the first job of another one.

    Configurations know the class of some objects, 5 to 75 % of them by their number of neighbours; what they do not
    know most of them guess alike.
    """
    rng, job = np.random.default_rng(n), template / "0"
    texts = {name: (job / name).read_text() for name in WRITTEN}
    table, metrics = pd.read_csv(job / "predictions.csv"), json.loads((job / "metrics.json").read_text())
    truth = table["reference"].to_numpy()
    guessed = rng.choice(3, truth.size)
    splits = list(itertools.product(*GRID.values()))
    folder.mkdir(parents=True)
    (folder / "multirun.yaml").write_bytes((template / "multirun.yaml").read_bytes())
    for number in range(n):
        neighbours, (state, size) = 1 + number // len(splits), splits[number % len(splits)]
        target = folder / str(number)
        for part in (".hydra", "plots"):
            (target / part).mkdir(parents=True, exist_ok=True)
        for name in LINKED:
            os.link(job / name, target / name)
        settings = {
            f"{key}{sign}{old}": f"{key}{sign}{new}"
            for key, (old, new) in {
                "n_neighbors": (NEIGHBOURS, neighbours),
                "random_state": (STATE, state),
                "test_size": (SIZE, size),
            }.items()
            for sign in ("=", ": ")
        }
        for name, text in texts.items():
            (target / name).write_text(replaced(text, settings))
        skill = 0.05 + 0.7 * (neighbours * 7919 % 97) / 97
        predicted = np.where(rng.random(truth.size) < 0.6, guessed, rng.choice(3, truth.size))
        predicted = np.where(rng.random(truth.size) < skill, truth, predicted)
        test = np.random.default_rng(state).random(truth.size) < size
        changed = table.assign(predicted=predicted, split=np.where(test, "test", "train"))
        write_csv(changed, target / "predictions.csv")
        counts = np.zeros((3, 3))
        np.add.at(counts, (truth[test], predicted[test]), 1)
        scores = {name: float(score(counts)) for name, score in table_scores().items()}
        ends = {
            f"{end}_{name}": value + way
            for name, value in scores.items()
            for end, way in (("low", -0.08), ("high", 0.07))
        }
        moved = {name: value * rng.uniform(0.95, 1.05) for name, value in metrics.items() if isinstance(value, float)}
        sizes = {"n_train": int((~test).sum()), "n_training": int((~test).sum()), "n_test": int(test.sum())}
        (target / "metrics.json").write_text(json.dumps(metrics | moved | scores | ends | sizes, indent=2))
    return folder


def end_of_sweep(folder: Path) -> tuple[float, str]:
    """Return the CPU seconds of all that comes after the last job, and what the screen says."""
    start = time.process_time()
    comparison = judged(read_sweep(folder).ranked(MEASURE), folder, 0, N_DRAWS, None)
    said = "\n".join(["", report_text(comparison), "", *write_report(comparison, folder)])
    verdict_metrics(comparison)
    return time.process_time() - start, said


def compare(folder: Path) -> float:
    """Return the CPU seconds of the command, imports included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "hiexp.compare", "--sweep", str(folder), "--sort", MEASURE]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def baseline(folder: Path) -> float:
    """Return the CPU seconds for a configuration of tables counted one at a time, permuted and drawn again."""
    rng, start = np.random.default_rng(0), time.process_time()
    for number in range(FEW):
        table = pd.read_csv(folder / str(number) / "predictions.csv").query("split == 'test'")
        truth, predicted = table["reference"].to_numpy(), table["predicted"].to_numpy()
        for _ in range(N_DRAWS):
            drawn = rng.integers(truth.size, size=truth.size)
            for classes, chosen in ((rng.permutation(truth), predicted), (truth[drawn], predicted[drawn])):
                table_scores()[MEASURE](np.bincount(3 * classes + chosen, minlength=9).reshape(3, 3))
    return (time.process_time() - start) / FEW


def main(sizes: list[int]) -> None:
    """Print a line for each number of configurations."""
    heads = (
        "configurations",
        "end, s",
        "exponent",
        "page, MB",
        "lines",
        "compare, s",
        "exponent",
        "baseline, s",
        "ratio",
    )
    print("  ".join(f"{head:>11}" for head in heads))
    before: tuple[int, float, float] | None = None
    with tempfile.TemporaryDirectory() as root:
        template = small_sweep(Path(root))
        end_of_sweep(write_sweep(template, Path(root, "warm"), FEW))  # imports, and matplotlib's look at its fonts
        for n in sizes:
            folder = write_sweep(template, Path(root, str(n)), n)
            end, said = end_of_sweep(folder)
            command, plain = compare(folder), n * baseline(folder)
            page = (folder / "sweep.html").stat().st_size / 1e6
            grown = (
                [_exponent(n, end, before[0], before[1]), _exponent(n, command, before[0], before[2])]
                if before
                else ["", ""]
            )
            cells = (n, f"{end:.2f}", grown[0], f"{page:.2f}", len(said.splitlines()), f"{command:.2f}", grown[1])
            print("  ".join(f"{cell:>11}" for cell in (*cells, f"{plain:.1f}", f"{plain / end:.1f}")))
            record(f"end of a sweep of {n}", plain / end, cpu_seconds=end, compare_cpu_seconds=command)
            before = n, end, command


def _exponent(n: int, seconds: float, n_before: int, before: float) -> str:
    return f"{math.log(seconds / before, n / n_before):.2f}"


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [*SIZES])
