"""What one trial of a search tells while its network is trained, and how it is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hydra.conf import HydraConf
from pydantic import TypeAdapter

from hiexp.errors import PrunedError
from hiexp.sweep.storage import opened_storage, pruner_of, quiet_optuna
from hiexp.writing import write_whole

if TYPE_CHECKING:
    from optuna import Trial

TRIALS_FOLDER = ".trials"


@dataclass(frozen=True)
class WatchedTrial:
    """Where the trial that a job carries out stands in a study: a small file, since the job may run elsewhere.

    Attributes
    ----------
    storage, study : str
        Optuna's storage, and the name of the study.
    number : int
        Number of the trial.
    pruner : str
        What compares it with others.
    warmup_epochs : int
        Epochs that every trial is given.
    """

    storage: str
    study: str
    number: int
    pruner: str
    warmup_epochs: int

    def write(self, sweep: Path, job: int) -> None:
        """Write the file for a job into the sweep's folder."""
        (sweep / TRIALS_FOLDER).mkdir(exist_ok=True)
        write_whole(sweep / TRIALS_FOLDER / f"{job}.json", json.dumps(asdict(self)))

    @classmethod
    def read(cls, sweep: Path, job: int) -> Self | None:
        """Return what the file of a job says; None where it has none."""
        try:
            return TypeAdapter(cls).validate_json((sweep / TRIALS_FOLDER / f"{job}.json").read_bytes())
        except FileNotFoundError:
            return None


def watch_of(job: HydraConf) -> Callable[[int, float], None] | None:
    """Return what is to be told epoch and score of a job's training, and stops it; None where nobody asks."""
    trial = WatchedTrial.read(Path(job.sweep.dir), job.job.num)
    return _watch(trial) if trial else None


def running_trial(watched: WatchedTrial) -> Trial:
    """Return the trial that a job carries out, to report to."""
    import optuna

    with quiet_optuna():
        storage = opened_storage(watched.storage)
        # A sampler that has nothing to say: what the trial sets has been decided.
        study = optuna.load_study(
            study_name=watched.study,
            storage=storage,
            sampler=optuna.samplers.RandomSampler(),
            pruner=pruner_of(watched.pruner, watched.warmup_epochs),
        )
        known = storage.get_study_id_from_name(watched.study)
        return optuna.trial.Trial(study, storage.get_trial_id_from_study_id_trial_number(known, watched.number))


def _watch(watched: WatchedTrial) -> Callable[[int, float], None]:
    trial = None

    def watch(epoch: int, score: float) -> None:
        nonlocal trial
        if trial is None:  # other classifiers have no epochs, and do without the library
            trial = running_trial(watched)
        trial.report(score, epoch)
        if trial.should_prune():
            raise PrunedError(f"after {epoch} epochs, at a score of {score:.3f}")

    return watch
