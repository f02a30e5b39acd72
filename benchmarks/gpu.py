"""What a GPU makes of the grid of networks and of the fits.

    python benchmarks/gpu.py [device, cuda if not given] [numbers of spectra ..., 31502 1000000 if none is given]

Three questions, each answered by the command of a user in an empty folder: how long the grid of 54 networks takes to
its end, by the number of processes that share the GPU; how long ``hiexp.fit`` takes, and the fits of it, for so many
model spectra of 1,024 channels. Baselines: the first of these fits on the processor, and the
grid by the fewest processes. Nothing is fetched from a network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from history import record

PROCESSES = (4, 8, 16)  # that train at the same time
SIZES = (31_502, 1_000_000)


def run(*words: str) -> tuple[float, list[dict[str, float]]]:
    """Run a command of hiexp in an empty folder; return its seconds and what its runs have measured."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        files = sorted(Path(folder, "runs").rglob("metrics.json"))
        return seconds, [json.loads(file.read_text()) for file in files]


def fits(device: str, n: int) -> tuple[float, float]:
    """Return the seconds of the command that fits so many spectra, and of the fits alone."""
    words = ("fit=busy", "dataset=mock_alfalfa", f"dataset.n_galaxies={n}", "measurements=none", f"device={device}")
    total, (metrics,) = run("hiexp.fit", *words)
    return total, metrics["fit_seconds"]


def main(device: str, sizes: list[int]) -> None:
    """Print seconds."""
    name = torch.cuda.get_device_name() if device == "cuda" else device
    print(f"{name}, torch {torch.__version__}")
    _, on_processor = fits("cpu", sizes[0])
    print(f"{sizes[0]} fits on the processor: {on_processor:.1f} s")
    for n in sizes:
        total, seconds = fits(device, n)
        ratio = on_processor / sizes[0] * n / seconds
        print(f"{n} fits: {seconds:.2f} s of {total:.1f} s, {ratio:.1f} times as fast", flush=True)
        record(f"{n} fits on {name}", ratio, seconds=seconds, command_seconds=total)
    of_few = None
    for processes in PROCESSES:
        words = ("+experiment=cnn54", f"device={device}", f"hydra.launcher.n_jobs={processes}")
        total, jobs = run("hiexp.train", *words)
        trained = sum(job["train_seconds"] for job in jobs if "train_seconds" in job)
        print(f"+experiment=cnn54 by {processes} processes: {total:.1f} s, {trained:.1f} s of trainings", flush=True)
        of_few = of_few or total
        record(f"cnn54 by {processes} processes on {name}", of_few / total, seconds=total)


if __name__ == "__main__":
    what, *numbers = sys.argv[1:] or ["cuda"]
    main(what, [int(number) for number in numbers] or [*SIZES])
