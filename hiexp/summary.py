"""What the screen says when a run has ended."""

from __future__ import annotations

import os
import shlex
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


def opening(job: HydraConf, folder: Path) -> str:
    """Return what a single run is about to do, and where."""
    stages = "  ".join(f"{stage}={job.runtime.choices[stage]}" for stage in STAGES)
    return f"{stages}\nin {shown(folder)}"


def one_line(metrics: Mapping[str, float]) -> str:
    """Return the scores of a job in a sweep."""
    if "success_rate" not in metrics:
        return "nothing to score against"
    return (
        f"balanced accuracy {metrics['balanced_accuracy']:.3f} (chance {metrics['chance_balanced_accuracy']:.3f}), "
        f"success rate {metrics['success_rate']:.3f} (chance {metrics['chance_success_rate']:.3f})"
    )


def summary(outcome: Outcome, metrics: Mapping[str, float], cfg: DictConfig, job: HydraConf, folder: Path) -> str:
    """Return the closing summary of a single run: scores, places, what to type next."""
    python = python_command()
    lines = [
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
    lines.append(f"try next:  {python} -m hiexp.train {_next_command(job)}")
    return "\n".join(lines)


def python_command() -> str:
    """Return what to type for this Python: ``python`` where that is the one, else its path."""
    found = shutil.which("python")
    if found and Path(found).parent.samefile(Path(sys.executable).parent):
        return "python"
    return shlex.quote(shown(Path(sys.executable)))


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
    rows += [
        f"{name.replace('_', ' '):20}{metrics[name]:8.3f}{metrics[f'chance_{name}']:9.3f}"
        f"{metrics[f'chance95_{name}']:10.3f}{metrics[f'p_{name}']:9.3f}"
        for name in outcome.scores.observed
    ]
    if metrics["n_predicted_classes"] == 1:
        rows.append("The classifier put every object held out into one class: it learned nothing of use.")
    return rows


def _pictures(folder: Path) -> list[str]:
    files = sorted((folder / "plots").glob("*.png"))
    return [f"{'pictures' if i == 0 else '':13}{shown(file)}" for i, file in enumerate(files)]


def _next_command(job: HydraConf) -> str:
    """Suggest a sweep over what most changes this run's answer, everything else as it was."""
    if job.runtime.choices["labels"] == "cluster":
        sweep = ["n_classes=2,3,4,5"]
    elif job.runtime.choices["classifier"] == "cnn":
        sweep = ["model=simple,medium,complex", "test_size=0.3,0.5,0.7"]
    else:
        sweep = ["classifier=knn,svm,random_forest"]
    swept = {word.partition("=")[0] for word in sweep}
    words = [*job.overrides.task, *(word for word in job.overrides.hydra if word.startswith("hydra.searchpath="))]
    return shlex.join(["-m", *(word for word in words if word.partition("=")[0] not in swept), *sweep])
