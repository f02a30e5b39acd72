"""What of a run's or a sweep's folder others get who are to cite and repeat it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.errors import InputError
from hiexp.printable import printable
from hiexp.run.files import (
    CONFIG_FILE,
    ERROR_FILE,
    HYDRA_FILE,
    LEARNING_CURVE_PICTURE,
    METRICS_FILE,
    OVERRIDES_FILE,
    PAGE_FILE,
    PAIRED_SCORES_FILE,
    PAIRS_FILE,
    PREDICTIONS_FILE,
    PROVENANCE_FILE,
    RANKING_FILE,
    RANKING_PICTURE,
    RUN_FILE,
    SEARCH_FILE,
    SWEEP_HYDRA_FILE,
    VERDICT_FILE,
    RunFile,
    results,
)
from hiexp.run.membership import DONE, jobs_of
from hiexp.run.reading import read_provenance, read_sweep_settings, read_table
from hiexp.run.reproduce import sweep_command

if TYPE_CHECKING:
    from hiexp.run.reading import Provenance

CHANGED = (
    f"{{}}: its results are not what they were when the run ended ({RUN_FILE} has their checksums); run it again, or "
    "restore them"
)
OF_A_SWEEP = (
    *(RANKING_FILE, PAGE_FILE, VERDICT_FILE, SEARCH_FILE, PAIRS_FILE, PAIRED_SCORES_FILE, SWEEP_HYDRA_FILE),
    *(RANKING_PICTURE, LEARNING_CURVE_PICTURE),
    *(str(Path(name).with_suffix(".pdf")) for name in (RANKING_PICTURE, LEARNING_CURVE_PICTURE)),
)
OF_A_JOB = (CONFIG_FILE, METRICS_FILE, PREDICTIONS_FILE, "predictions.parquet", PROVENANCE_FILE, RUN_FILE)


@dataclass(frozen=True)
class Work:
    """What is to be exported.

    Attributes
    ----------
    folder : Path
        A run's, or a sweep's.
    files : list of Path
        What of it, as paths in the folder.
    command : str
        What repeats it.
    provenance : Provenance or None
        What the run, or the first job of the sweep, says of code and samples.
    ended : datetime
        When.
    """

    folder: Path
    files: list[Path]
    command: str
    provenance: Provenance | None
    ended: datetime

    @property
    def name(self) -> str:
        """What it is called by its place."""
        return re.sub(r"[^\w.-]+", "-", "-".join(["hiexp", *self.folder.resolve().parts[-2:]]))

    @property
    def title(self) -> str:
        """What it is called on its pages."""
        kind = "sweep" if self.is_sweep else "run"
        return f"hiexp {kind} of {self.ended:%Y-%m-%d}, {printable('/'.join(self.folder.resolve().parts[-2:]))}"

    @property
    def is_sweep(self) -> bool:
        """Whether it has jobs."""
        return (self.folder / SWEEP_HYDRA_FILE).is_file()


def work_in(folder: Path) -> Work:
    """Return what of a folder is to be exported: of a run all results; of a sweep its own, and its jobs' numbers.

    Raises
    ------
    InputError
        If no run or sweep that has ended well is there, or its results are not what they were at its end.
    """
    if (folder / SWEEP_HYDRA_FILE).is_file():
        return _sweep_in(folder)
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder}: no run is in this folder (it has no {CONFIG_FILE}); give runs/<date>/<time>")
    own = RunFile.read(folder)
    if own is None or not own.files:
        raise InputError(f"{folder}: this run has not ended well; give one that has")
    files = results(folder, own.work)
    if files is None:
        raise InputError(CHANGED.format(folder))
    files = [*files, Path(RUN_FILE), *(Path(name) for name in (HYDRA_FILE, OVERRIDES_FILE))]
    return _work(folder, [file for file in files if _is_file(folder / file)], own_provenance(folder), None)


def own_provenance(folder: Path) -> Provenance | None:
    """Return what a run says of itself; None where it was made before hiexp kept that."""
    file = folder / PROVENANCE_FILE
    return read_provenance(file) if file.is_file() else None


def _sweep_in(folder: Path) -> Work:
    if not (folder / RANKING_FILE).is_file():
        raise InputError(
            f"{folder}: this sweep has not come to its end; its command, typed again, runs what is missing"
        )
    jobs, ranking = jobs_of(folder), read_table(folder / RANKING_FILE)
    done = set(ranking["run"][ranking["state"] == DONE].astype(str)) if {"run", "state"} <= {*ranking} else set()
    for job in jobs:
        own_file = RunFile.read(job)
        if (job / METRICS_FILE).is_file() and (own_file is None or results(job, own_file.work) is None):
            raise InputError(CHANGED.format(job))
    ended = [job for job in jobs if (job / METRICS_FILE).is_file() and not (job / ERROR_FILE).exists()]
    if done != {printable(job.name) for job in ended}:
        raise InputError(f"{folder}: {RANKING_FILE} does not have the jobs of this folder; type its command again")
    own = [folder / name for name in OF_A_SWEEP if _is_file(folder / name)]
    of_jobs = [job / name for job in jobs for name in OF_A_JOB if _is_file(job / name)]
    files = [path.relative_to(folder) for path in [*own, *of_jobs]]
    said = next(filter(None, map(own_provenance, jobs)), None)
    return _work(folder, files, said, sweep_command(read_sweep_settings(folder / SWEEP_HYDRA_FILE)))


def _work(folder: Path, files: list[Path], provenance: Provenance | None, command: str | None) -> Work:
    end = folder / (METRICS_FILE if command is None else RANKING_FILE)
    said = command or (provenance["command"] if provenance else "")
    return Work(folder, files, said, provenance, datetime.fromtimestamp(int(end.stat().st_mtime), tz=UTC))


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
