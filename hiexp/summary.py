"""What the screen says when a run has ended."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.conf import HydraConf
from hydra.utils import instantiate
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hiexp.outcome import Outcome

STAGES = ("dataset", "fit", "feature", "labels", "classifier", "evaluation")


def one_line(metrics: Mapping[str, float]) -> str:
    """Return the scores of a job in a sweep."""
    if "success_rate" not in metrics:
        return f"done in {metrics['train_seconds']:.1f} s of training; nothing to score against"
    return (
        f"balanced accuracy {metrics['balanced_accuracy']:.3f} (chance {metrics['chance_balanced_accuracy']:.3f}), "
        f"success rate {metrics['success_rate']:.3f} (chance {metrics['chance_success_rate']:.3f}), "
        f"{metrics['train_seconds']:.1f} s of training"
    )


def summary(outcome: Outcome, metrics: Mapping[str, float], cfg: DictConfig, job: HydraConf, folder: Path) -> str:
    """Return the closing summary of a single run: scores, places, what to type next."""
    choices = job.runtime.choices
    python = python_command()
    lines = [
        "",
        "  ".join(f"{stage}={choices[stage]}" for stage in STAGES),
        f"{len(outcome.train)} objects trained on, {len(outcome.test)} held out",
        "",
        *_score_table(outcome, metrics),
        "",
        f"predictions  {shown(folder / 'predictions.csv')}",
        *_pictures(folder),
        f"all of it    {shown(folder)}",
        "",
    ]
    ui = instantiate(cfg.tracking).hint(python)
    if ui:
        lines.append(f"compare runs in a browser:  {ui}")
    lines.append(f"try next:  {python} -m hiexp.train {_next_command(choices, job.overrides.task)}")
    return "\n".join(lines)


def python_command() -> str:
    """Return what to type for this Python: ``python`` where that is the one, else its path."""
    found = shutil.which("python")
    if found and Path(found).parent.samefile(Path(sys.executable).parent):
        return "python"
    return shown(Path(sys.executable))


def shown(path: Path) -> str:
    """Return the path as short as it can be typed from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _score_table(outcome: Outcome, metrics: Mapping[str, float]) -> list[str]:
    if outcome.scores is None:
        return ["Nothing says what is true of the objects held out, so there are no scores."]
    source = {"reference": "the reference classes", "clusterer": "the clusterer's own choice for them"}
    rows = [
        f"Objects held out, against {source[outcome.truth_name]}:",
        f"{'':20}{'score':>8}{'chance':>9}{'95 % of':>10}{'p':>9}",
        f"{'':20}{'':>8}{'(mean)':>9}{'chance':>10}",
    ]
    for name in outcome.scores.observed:
        rows.append(
            f"{name.replace('_', ' '):20}{metrics[name]:8.3f}{metrics[f'chance_{name}']:9.3f}"
            f"{metrics[f'chance95_{name}']:10.3f}{metrics[f'p_{name}']:9.3f}"
        )
    if metrics["n_predicted_classes"] == 1:
        rows.append("The classifier put every object held out into one class: it learned nothing of use.")
    return rows


def _pictures(folder: Path) -> list[str]:
    files = sorted((folder / "plots").glob("*.png"))
    return [f"{'pictures' if i == 0 else '':13}{shown(file)}" for i, file in enumerate(files)]


def _next_command(choices: Mapping[str, str], overrides: list[str]) -> str:
    """Suggest a sweep over what most changes this run's answer, everything else as it was."""
    swept = {
        "labels": "labels=cluster n_classes=2,3,4,5",
        "classifier": "model=simple,medium,complex test_size=0.3,0.5,0.7",
    }
    if choices["labels"] == "cluster":
        keep = [word for word in overrides if not word.startswith(("n_classes=", "labels="))]
        return " ".join(["-m", *keep, swept["labels"]])
    if choices["classifier"] == "cnn":
        keep = [word for word in overrides if not word.startswith(("model=", "test_size="))]
        return " ".join(["-m", *keep, swept["classifier"]])
    keep = [word for word in overrides if not word.startswith("classifier=")]
    return " ".join(["-m", *keep, "classifier=knn,svm,random_forest"])
