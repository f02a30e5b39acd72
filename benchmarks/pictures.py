"""CPU time of the pictures of one job of the grid of networks.

    python benchmarks/pictures.py [rounds, 15 if not given]

One job of ``+experiment=cnn54`` is run for a few epochs, and what it draws is drawn again and again, as the later
jobs of a sweep draw it: in one process, with the libraries and their caches warm. Baseline: the same pictures, laid
out by matplotlib's constrained layout instead of by given margins; beside them, each with its PDF. Rounds alternate,
and the medians of their CPU times are compared.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from history import record
from hydra import compose, initialize_config_dir

from hiexp import plots
from hiexp.cache import NoCache
from hiexp.configs import CONFIGS
from hiexp.hydra_versions import VERSION_BASE
from hiexp.run.experiment import run_experiment

EPOCHS = 5
ROUNDS = 15
WORDS = ["+experiment=cnn54", "model=simple", "test_size=0.3", f"epochs={EPOCHS}", "tracking=none", "cache=off"]


def drawn_by_a_job(folder: Path) -> dict[str, Callable[[], None]]:
    """Run a job in `folder` and return a function for each picture that it draws, which draws it again."""
    with initialize_config_dir(str(CONFIGS.absolute()), **VERSION_BASE):
        cfg = compose("train", WORDS)
    result = run_experiment(cfg, folder, {})
    pictures = {}

    def recorder(name: str) -> Callable[..., None]:
        plot = getattr(plots, name)

        def record(*arguments: object, **options: object) -> None:
            *given, file = arguments
            pictures[file.name] = lambda: plot(*given, folder / file.name, **options)

        return record

    for name in [name for name in plots.__all__ if name.startswith("plot_")]:
        setattr(plots, name, recorder(name))
    result.write(folder, NoCache())
    return pictures


def milliseconds(draw: Callable[[], None]) -> float:
    """Return the CPU time of a picture."""
    start = time.process_time()
    draw()
    return 1000 * (time.process_time() - start)


def main(rounds: int) -> None:
    """Print CPU time and size of each picture, their sums and the ratio to the baseline."""
    layouts = {"given margins": (False, False), "constrained layout": (True, False), "with a PDF": (False, True)}
    with tempfile.TemporaryDirectory() as folder:
        pictures = drawn_by_a_job(Path(folder))
        spent = []
        for number in range(1 + rounds):
            for layout, (constrained, pdf) in layouts.items():
                with mpl.rc_context({"figure.constrained_layout.use": constrained}), plots.with_pdf(pdf):
                    times = {file: milliseconds(draw) for file, draw in pictures.items()}
                if number:  # the first round fills the caches
                    spent += [(layout, file, value) for file, value in times.items()]
    rows = pd.DataFrame(spent, columns=["layout", "picture", "ms"])
    table = rows.pivot_table("ms", "picture", "layout", aggfunc="median")[list(layouts)]
    table.loc["all of one job"] = table.sum()
    print(f"CPU ms, medians of {rounds} rounds")
    print(table.round(0).astype(int).to_string())
    ours, baseline, _ = table.loc["all of one job"]
    print(f"ratio {baseline / ours:.1f}")
    record("pictures of a job of cnn54", baseline / ours, cpu_ms=ours)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
