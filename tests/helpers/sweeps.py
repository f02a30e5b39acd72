"""A sweep as its jobs leave it on disk, without the hours that it takes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pandas as pd
import yaml
from PIL import Image

GRID = {
    "model": ["simple", "medium", "complex"],
    "test_size": [0.3, 0.5, 0.7],
    "random_state": [42, 99],
    "epochs": [50, 80, 120],
}
HEAD = "python -m hiexp.train"


def write_sweep(folder: Path, grid: dict[str, list], scores: dict[int, dict[str, float]] | None = None) -> Path:
    """Write the folder of a sweep over `grid`; `scores` adds metrics to some jobs or, with None, takes them away."""
    words = [f"{key}={','.join(map(str, values))}" for key, values in grid.items()]
    _dump(folder / "multirun.yaml", {"hydra": {"job": {"name": "train"}, "overrides": {"task": words, "hydra": []}}})
    for number, values in enumerate(itertools.product(*grid.values())):
        settings = dict(zip(grid, values, strict=True))
        job = folder / str(number)
        (job / "plots").mkdir(parents=True)
        overrides = {"task": [f"{key}={value}" for key, value in settings.items()], "hydra": ["hydra.mode=MULTIRUN"]}
        choices = {"model": settings.get("model", "simple"), "classifier": "cnn", "hydra/launcher": "basic"}
        _dump(job / ".hydra" / "overrides.yaml", overrides["task"])
        hydra = {"job": {"name": "train"}, "overrides": overrides, "runtime": {"choices": choices}}
        _dump(job / ".hydra" / "hydra.yaml", {"hydra": hydra})
        # As in a real run, the member's own keys and the keys that refer to others differ, too.
        derived = {"model": {"depth": len(choices["model"])}, "classifier": {"epochs": settings.get("epochs", 50)}}
        config = settings | derived | {"root": str(number)}
        _dump(job / "config.yaml", config)
        (job / "metrics.json").write_text(json.dumps(metrics(number) | (scores or {}).get(number, {})))
        predictions(number).to_csv(job / "predictions.csv", index=False)
        Image.new("RGB", (60, 40), (4 * number, 90, 160)).save(job / "plots" / "classes.png")
    return folder


def metrics(number: int) -> dict[str, float]:
    """Return what job `number` scored: the higher the number, the lower."""
    score = 0.7 - 0.005 * number
    numbers = {"train_seconds": 0.5 + number, "peak_memory_mb": 700.0, "n_predicted_classes": 3}
    for name in ("success_rate", "balanced_accuracy", "accuracy"):
        numbers |= {name: score, f"low_{name}": score - 0.1, f"high_{name}": score + 0.08}
        numbers |= {f"chance_{name}": 0.35, f"chance95_{name}": 0.45, f"p_{name}": 0.001 * (number + 1)}
    return numbers | {"epsilon2_W50": 0.3, "log_loss": 0.5 + 0.01 * number}


def predictions(number: int) -> pd.DataFrame:
    """Return what job `number` predicted of four objects to train on and eight held out."""
    truth = [0, 1, 2, 0, 0, 0, 0, 1, 1, 1, 2, 2]
    predicted = [0, 1, 2, 0, 0, 0, 1, 1, 1, 2, 2, number % 3]
    split = ["train"] * 4 + ["test"] * 8
    rows = {"id": [f"A{i:06d}" for i in range(12)], "split": split, "reference": truth, "label": truth}
    return pd.DataFrame(rows | {"predicted": predicted})


def verdict(jobs: list[str]) -> dict:
    """Return a ``sweep.json``: the first three of `jobs` alike."""
    rows = [{"job": job, "indistinguishable_from_best": place < 3} for place, job in enumerate(jobs)]
    best = {"job": jobs[0], "score": 0.7, "p_family": 0.031, "corrected": 0.62}
    return {
        "measure": "success_rate",
        "n_draws": 1000,
        "configurations": rows,
        "best": best | {"corrected_low": 0.51, "corrected_high": 0.71},
        "maximum": {"mean": 0.52, "p05": 0.47, "p50": 0.52, "p95": 0.58},
    }


def _dump(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content))
