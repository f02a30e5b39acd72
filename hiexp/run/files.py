"""The folder of a run: whose it is, whether it is whole, and how files get into it."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from hiexp.errors import OthersFolderError
from hiexp.tracking.mlflow_store import RECORD_FILE
from hiexp.writing import staged, write_whole

# Of a run, beside the tables of its fits.
RUN_FILE, CONFIG_FILE, PREDICTIONS_FILE = "run.json", "config.yaml", "predictions.csv"
FITS_FILE = "fits.parquet"  # written by hiexp.fitting, also where the table is too long for text
METRICS_FILE, ERROR_FILE = "metrics.json", "error.txt"  # a run's folder has one of them when it has ended
PRUNED_FILE = "pruned.txt"  # of a trial that its search has stopped: when
VALIDATION_FILE = "validation.csv"  # predictions of what a search is steered by
REUSED_FILE = "reused.json"  # names the earlier run whose files these are
PLOTS_FOLDER, PAGES_FOLDER, MODEL_FOLDER = "plots", "objects", "model"  # pages are among the plots
PIPELINE_FILE, FOLD_FOLDER = "pipeline.skops", "fold_{}"  # in the folder of the model
PROFILE_FILE = "profile.prof"
PROVENANCE_FILE = "provenance.json"  # the command, the code and the samples of a run
TRAINED_FILE = "trained.json"  # in a run of predictions: whose model they are by
CLASSES_PICTURE, PARAMETERS_PICTURE = f"{PLOTS_FOLDER}/classes.png", f"{PLOTS_FOLDER}/parameters_by_class.png"
HYDRA_FILE, OVERRIDES_FILE = ".hydra/hydra.yaml", ".hydra/overrides.yaml"  # by Hydra
# Names of the pictures of a run, which no other picture may have.
PICTURES = (
    *("fits", "parameters", "classes", "parameters_by_class", "confusion", "training", "saliency", "images"),
    "shapelets",
)
# Of a sweep.
RANKING_FILE, PAGE_FILE, VERDICT_FILE = "ranking.csv", "sweep.html", "sweep.json"
SEARCH_FILE = "search.json"
PAIRS_FILE, PAIRED_SCORES_FILE = "pairs.json", "pairs.csv"
RANKING_PICTURE, LEARNING_CURVE_PICTURE = "sweep.png", "learning_curve.png"
SWEEP_HYDRA_FILE = "multirun.yaml"  # by Hydra
OF_EACH_START = (".*", "*.log", ERROR_FILE, PRUNED_FILE)  # what Hydra makes before a run begins, and why one did not
NOT_RESULTS = (".*", "*.log", RUN_FILE, REUSED_FILE, RECORD_FILE)


@dataclass(frozen=True)
class RunFile:
    """What ``run.json`` says of the folder it is in.

    Attributes
    ----------
    uid : str
        Identifier of the run whose files these are; no other run has it.
    work : str
        What runs share whose numbers are the same.
    files : dict of str to str
        SHA-256 of every result, by its path in the folder, once the run has ended well; before, there is none.
    """

    uid: str
    work: str
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the file in one step."""
        write_whole(folder / RUN_FILE, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: Path) -> RunFile | None:
        """Return what a folder's file says; None where it has none that can be read."""
        with suppress(OSError, ValueError, TypeError):
            found = cls(**json.loads((folder / RUN_FILE).read_text()))
            if isinstance(found.uid, str) and isinstance(found.work, str) and isinstance(found.files, dict):
                return found
        return None


def refuse_others_folder(folder: Path, work: str, setting: str) -> None:
    """Raise an `OthersFolderError` where a run's folder holds anything but an earlier start of the same work.

    Parameters
    ----------
    folder : Path
        May be missing.
    work : str
        What the run is about to do.
    setting : str
        The key that chose the folder, for the message.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OthersFolderError(f"{setting}={folder}: this is a file; give a folder that is empty or not there yet")
    found = RunFile.read(folder)
    if found is not None and found.work == work:
        return
    others = sorted(entry.name for entry in folder.iterdir() if not _matches(entry.name, OF_EACH_START))
    if others:
        whose = "another run" if found else ", ".join(others[:3])
        raise OthersFolderError(
            f"{setting}={folder}: this folder holds {whose}; files of two runs would be mixed: give a folder that "
            "is empty or not there yet"
        )


def begin(folder: Path, work: str) -> RunFile:
    """Make a folder a new run's own; what an earlier start said of its end is removed."""
    for name in (METRICS_FILE, ERROR_FILE, PRUNED_FILE, REUSED_FILE):
        (folder / name).unlink(missing_ok=True)
    run = RunFile(uuid.uuid4().hex, work)
    run.write(folder)
    return run


def seal(folder: Path, run: RunFile) -> None:
    """Note what the results of a run that has ended well are, so that damage is seen later."""
    files = {str(path): sha256(folder / path) for path in _results(folder)}
    replace(run, files=files).write(folder)


def results(folder: Path, work: str, uid: str | None = None) -> list[Path] | None:
    """Return the results in a folder, as paths in it, if they are complete, unharmed and of the run that is meant.

    Parameters
    ----------
    folder : Path
        May hold anything, or be missing.
    work : str
        What the run has done.
    uid : str, optional
        Identifier of the run; any run of that work where it is not given.
    """
    found = RunFile.read(folder)
    if found is None or found.work != work or uid not in (None, found.uid) or METRICS_FILE not in found.files:
        return None
    paths = [Path(name) for name in found.files]
    if any(path.is_absolute() or ".." in path.parts for path in paths):
        return None
    with suppress(OSError):
        if all(sha256(folder / path) == found.files[str(path)] for path in paths):
            return paths
    return None


def copy_results(source: Path, paths: list[Path], target: Path) -> None:
    """Copy files from one folder to another; not as links, or one that is edited in a run would change in another."""
    with staged(target) as stage:
        for path in paths:
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / path, stage / path, follow_symlinks=False)


def model_folders(folder: Path) -> list[Path]:
    """Return the folders of a run's models: one, or one a fold by number; none where it has none."""
    return fold_folders(folder / MODEL_FOLDER)


def fold_folders(model: Path) -> list[Path]:
    """Return the folder of a model itself, or those of its folds by number; none where there is no model."""
    if (model / PIPELINE_FILE).is_file():
        return [model]
    folds = (model / FOLD_FOLDER.format(number) for number in itertools.count(1))
    return list(itertools.takewhile(lambda fold: (fold / PIPELINE_FILE).is_file(), folds))


def _results(folder: Path) -> Iterator[PurePosixPath]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not path.is_symlink() and not _matches(relative.parts[0], NOT_RESULTS):
            yield PurePosixPath(relative)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def sha256(file: Path) -> str:
    """Return the SHA-256 of a regular file.

    Raises
    ------
    OSError
        If it is none, a link for example, or cannot be read.
    """
    if file.is_symlink() or not file.is_file():
        raise OSError(f"{file} is no regular file")
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
