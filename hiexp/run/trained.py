"""The trained run that another command begins from: where it is, what it is made of."""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import logging
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hydra.conf import HydraConf
from hydra.utils import instantiate
from omegaconf import DictConfig

from hiexp.commandline import quoted
from hiexp.errors import InputError
from hiexp.evaluation.metrics import measure_of, standing
from hiexp.printable import printable
from hiexp.run.files import (
    CONFIG_FILE,
    ERROR_FILE,
    METRICS_FILE,
    MODEL_FOLDER,
    RANKING_FILE,
    SWEEP_HYDRA_FILE,
    TRAINED_FILE,
    RunFile,
    model_folders,
    sha256,
)
from hiexp.run.membership import folders_below, jobs_of
from hiexp.run.reading import read_config, read_metrics, read_reason
from hiexp.run.reproduce import reproduce_command
from hiexp.tracking.mlflow_store import SWEEP, UID_TAG
from hiexp.writing import write_whole

if TYPE_CHECKING:
    from hiexp.tracking.mlflow_store import MlflowTracking, NoTracking

log = logging.getLogger(__name__)

LATEST = "latest"
RUN_ID = re.compile("[0-9a-f]{32}")  # MLflow's
COPY = "hiexp-run-"  # how the names of copies from a store begin
OF_TRAINING = "classifier"  # the key that the settings of a training have, and no others


@dataclass(frozen=True)
class Origin:
    """Which run a model is by.

    Attributes
    ----------
    folder : str
        Where it is; empty where only the store has its files.
    uid : str
        Its identifier in every store; empty where its folder does not say.
    run_id : str
        MLflow's; empty where the store does not know it.
    content : str
        What `content` says of its settings and its model.
    """

    folder: str
    uid: str
    run_id: str
    content: str

    @classmethod
    def of(cls, cfg: DictConfig) -> Self:
        """Return what the folder of the run that a configuration names, and the store, say of it."""
        folder, tracking = trained_run(cfg), instantiate(cfg.tracking)
        own = RunFile.read(folder)
        uid, run_id = (own.uid, "") if own else ("", "")
        try:
            run_id = next((run.info.run_id for run in tracking.runs({UID_TAG: uid})), "") if uid else ""
        except InputError:
            raise
        except Exception as error:  # a server that is away
            log.warning("The store cannot be asked for the trained run: %s", str(error).partition("\n")[0][:200])
        copied = folder.name.startswith(COPY)
        return cls(
            "" if copied else str(folder.absolute()), uid, run_id or (cfg.run if copied else ""), content(folder)
        )

    @property
    def named(self) -> str:
        """What the key ``run`` is to name it by, whatever will be the latest run then."""
        return self.folder or self.run_id

    def tags(self, job: HydraConf, *, sweeping: bool) -> dict[str, str]:
        """Return the tags by which a store shows it, and the command of `job` that names it."""
        words = shlex.split(reproduce_command(job, sweeping=sweeping))
        words = [f"run={quoted(self.named)}" if word.startswith("run=") else word for word in words]
        return {f"trained.{name}": value for name, value in asdict(self).items() if value} | {
            "command": shlex.join(words)
        }

    def write(self, folder: Path) -> None:
        """Write ``trained.json`` into the folder of the run that takes the model."""
        write_whole(folder / TRAINED_FILE, json.dumps(asdict(self), indent=1))


def takes_model(cfg: DictConfig) -> bool:
    """Return whether a configuration, that of a prediction, has the model of another run."""
    return "run" in cfg and "fit" not in cfg


def trained_run(cfg: DictConfig) -> Path:
    """Return the folder of the run that the key ``run`` of a configuration names.

    Raises
    ------
    InputError
        If there is none, it has not ended well, or it has no model.
    """
    return find_trained_run(cfg.run, cfg.root, instantiate(cfg.tracking))


@functools.cache  # to the end of a command the latest run is the one that was it at the beginning
def find_trained_run(named: str, root: str, tracking: MlflowTracking | NoTracking) -> Path:
    """Return the folder of a trained run.

    Parameters
    ----------
    named : str
        The folder of a run; that of a sweep, of which the best run is taken; MLflow's id of either; or "latest", the
        training that has ended last below `root`.
    root : str
        The folder that has ``runs/``.
    tracking : MlflowTracking or NoTracking
        The store that knows ids.
    """
    folder = _latest(Path(root) / "runs") if named == LATEST else Path(named)
    try:
        there = folder.is_dir()
    except OSError:  # a name too long
        there = False
    if not there:
        folder = _recorded(named, tracking)
    if (folder / SWEEP_HYDRA_FILE).is_file():
        folder = _best(named, folder)
    _check(named, folder)
    return folder


def content(folder: Path) -> str:
    """Return 16 hexadecimal digits that depend on the settings and the model of a run, and on nothing else."""
    digest = hashlib.sha256()
    try:
        for file in (folder / CONFIG_FILE, *sorted(_files(folder / MODEL_FOLDER))):
            digest.update(f"{file.relative_to(folder)} {sha256(file)}\n".encode())
    except OSError as error:
        raise InputError(f"run={folder}: its files cannot be read ({error}); give another run") from error
    return digest.hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _latest(runs: Path) -> Path:
    """Return the folder of the run, or of the sweep, that has ended last and has trained."""
    ends = (folder / name for folder in folders_below(runs) for name in (METRICS_FILE, RANKING_FILE))
    for end in sorted((file for file in ends if file.is_file()), key=lambda file: file.stat().st_mtime, reverse=True):
        of_sweep = end.name == RANKING_FILE
        try:
            if any(_has_trained(folder) for folder in (jobs_of(end.parent) if of_sweep else [end.parent])):
                return end.parent
        except InputError as error:
            log.warning("%s", error)
    raise InputError(
        f"run={LATEST}: no training has ended below {runs}; train with  python -m hiexp.train  first, or name the "
        "folder of a run, or root=FOLDER"
    )


def _has_trained(folder: Path) -> bool:
    ended = (folder / METRICS_FILE).is_file() and not (folder / ERROR_FILE).exists()
    return ended and OF_TRAINING in read_config(folder / CONFIG_FILE)


def _best(named: str, sweep: Path) -> Path:
    """Return the best run of a sweep, by what sweeps are ranked by."""
    scores = {}
    for job in jobs_of(sweep):
        try:
            if _has_trained(job):
                scores[job] = read_metrics(job / METRICS_FILE)
        except InputError as error:
            log.warning("%s", error)
    if not scores:
        raise InputError(
            f"run={printable(named)}: no job of this sweep has trained and ended; give a sweep of hiexp.train"
        )
    measure = measure_of({name for metrics in scores.values() for name in metrics})
    best = min(scores, key=lambda job: standing(scores[job], measure))
    log.info("The best of %d runs by %s: %s", len(scores), measure, best)
    return best


def _recorded(named: str, tracking: MlflowTracking | NoTracking) -> Path:
    """Return the folder of a run that the store knows, or a copy of what the store has of it."""
    run = tracking.find(named) if RUN_ID.fullmatch(named) else None
    if run is None:
        place = f", and no run of that id in {tracking.uri}" if tracking.uri else ""
        raise InputError(
            f"run={printable(named)}: no such folder{place}; give run={LATEST}, the folder of a run or a sweep, or "
            "MLflow's id of one"
        )
    tags = run.data.tags
    folder = Path(tags.get("folder", ""))
    own = RunFile.read(folder)
    if own is not None and own.uid == tags.get(UID_TAG):
        return folder
    if tags.get("kind") == SWEEP:
        if (folder / SWEEP_HYDRA_FILE).is_file():
            return folder
        raise InputError(f"run={named}: the folder of this sweep, {folder}, is gone; give the id of one of its runs")
    copied = Path(tempfile.mkdtemp(prefix=COPY))
    atexit.register(shutil.rmtree, copied, ignore_errors=True)
    try:
        tracking.fetch(run, copied)
    except Exception as error:  # of whatever keeps the artefacts
        reason = str(error).partition("\n")[0][:200]
        raise InputError(
            f"run={named}: its folder {folder} is gone, and the store does not give its files ({reason})"
        ) from error
    return copied


def _check(named: str, folder: Path) -> None:
    """Raise an `InputError` where a folder is not that of a training that has ended well and has a model."""
    said = f"run={printable(named)}" + ("" if str(folder) == named else f" ({folder})")
    config, error = folder / CONFIG_FILE, folder / ERROR_FILE
    if error.is_file():
        raise InputError(f"{said}: this run has failed ({read_reason(error)}); give one that has ended well")
    if not config.is_file():
        raise InputError(f"{said}: no run is in this folder (it has no {CONFIG_FILE}); give runs/<date>/<time>")
    settings = read_config(config)
    if OF_TRAINING not in settings:
        of_predictions = f"predictions, made with the model of run={printable(str(settings.get('run')))}"
        what = of_predictions if "run" in settings else "fits alone, which has learned nothing"
        raise InputError(f"{said}: this is a run of {what}; give a run of hiexp.train")
    if not (folder / METRICS_FILE).is_file():
        raise InputError(f"{said}: this run has not ended; wait for it, or give another")
    if not model_folders(folder):
        raise InputError(
            f"{said}: this run has no stored model (its train.log may say why); give another, or train again"
        )
