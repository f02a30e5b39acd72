"""The folder of a run: whose it is, whether it is whole, and how files get into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from hiexp.errors import OthersFolderError

RUN_FILE = "run.json"
METRICS_FILE, ERROR_FILE = "metrics.json", "error.txt"  # a run's folder has one of them when it has ended
REUSED_FILE = "reused.json"  # names the earlier run whose files these are
RECORD_FILE = "record.json"  # what the run's tracker does not have yet
OF_EACH_START = (".*", "*.log", ERROR_FILE)  # what Hydra makes before a run begins, and why one did not
NOT_RESULTS = (".*", "*.log", RUN_FILE, REUSED_FILE, RECORD_FILE)


@dataclass(frozen=True)
class RunFile:
    """What ``run.json`` says of the folder it is in.

    Attributes
    ----------
    uid : str
        Of the run whose files these are; no other run has it.
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
    for name in (METRICS_FILE, ERROR_FILE, REUSED_FILE):
        (folder / name).unlink(missing_ok=True)
    run = RunFile(uuid.uuid4().hex, work)
    run.write(folder)
    return run


def seal(folder: Path, run: RunFile) -> None:
    """Note what the results of a run that has ended well are, so that damage is seen later."""
    files = {str(path): _sha256(folder / path) for path in _results(folder)}
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
        Of the run; any run of that work where it is not given.
    """
    found = RunFile.read(folder)
    if found is None or found.work != work or uid not in (None, found.uid) or METRICS_FILE not in found.files:
        return None
    paths = [Path(name) for name in found.files]
    if any(path.is_absolute() or ".." in path.parts for path in paths):
        return None
    with suppress(OSError):
        if all(_sha256(folder / path) == found.files[str(path)] for path in paths):
            return paths
    return None


def copy_results(source: Path, paths: list[Path], target: Path) -> None:
    """Copy files from one folder to another; not as links, or one that is edited in a run would change in another."""
    with staged(target) as stage:
        for path in paths:
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / path, stage / path, follow_symlinks=False)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder whose files move to `folder` when the block has ended well.

    A kill in the middle of the block leaves nothing half-written under a name that someone would read.
    """
    stage = folder / ".partial"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    try:
        yield stage
        for path in sorted(path for path in stage.rglob("*") if not path.is_dir()):
            target = folder / path.relative_to(stage)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_whole(file: Path, text: str) -> None:
    """Write a file under another name and rename it, so that it is never there in half."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        # Names of files may hold bytes that are no UTF-8.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_named(file: Path, text: str) -> None:
    """Write a file that a user has named: whole, and through what is no plain file, ``/dev/stdout`` or a link."""
    if file.is_symlink() or (file.exists() and not file.is_file()):
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    else:
        write_whole(file, text)


def _results(folder: Path) -> Iterator[PurePosixPath]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not path.is_symlink() and not _matches(relative.parts[0], NOT_RESULTS):
            yield PurePosixPath(relative)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _sha256(file: Path) -> str:
    if file.is_symlink() or not file.is_file():
        raise OSError(f"{file} is no regular file")
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
