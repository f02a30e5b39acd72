"""The folder that receives an archive, and its record of what is complete."""

from __future__ import annotations

import csv
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hiexp.csv_tables import csv_text, unescaped
from hiexp.errors import InputError
from hiexp.printable import printable

LISTS = ABSENT_FILE, FAILED_FILE = "not_on_server.csv", "failed.csv"
RECORD, COLUMNS = "downloaded.csv", ("file", "bytes", "sha256", "url")
INCOMING = ".incoming"
LARGEST_RECORD = 2**30  # bytes
LONGEST = 200  # bytes of a name: file systems allow 255, and transfers under way have longer ones


def not_plain(name: str) -> str:
    """Return why a file of an archive cannot have this name, with its folders on the server; empty if it can."""
    parts = name.split("/")
    # Only the last of them becomes a name here; none may lead out of the archive on the server.
    if any(part in ("", ".", "..") or len(os.fsencode(part)) > LONGEST for part in parts):
        return "not the name of a file: it has empty or too long parts, or points elsewhere"
    if printable(name) != name or "\\" in name:
        return "not the name of a file: it has control characters or backslashes"
    if parts[-1].startswith(".") or parts[-1].removesuffix(".gz") in (RECORD, *LISTS):
        return "this name is needed for the download itself, or would hide the file"
    return ""


@dataclass
class Store:
    """A folder with the files of an archive, all in one place, and the record ``downloaded.csv``.

    Attributes
    ----------
    folder : Path
        Holds complete files alone.
    sizes : dict of str to int
        The bytes of each file recorded.
    """

    folder: Path
    sizes: dict[str, int]

    @property
    def incoming(self) -> Path:
        """The folder of transfers under way."""
        return self.folder / INCOMING

    def complete(self, file: str) -> bool:
        """Say whether a file is recorded, as it is or with ``.gz``, and still has its size."""
        for name in (file, f"{file}.gz"):
            if name in self.sizes:
                with suppress(OSError):
                    status = (self.folder / name).lstat()  # a link is no file that has come
                    if stat.S_ISREG(status.st_mode) and status.st_size == self.sizes[name]:
                        return True
        return False

    def accept(self, path: Path) -> None:
        """Give a file that has come its final name, in one step."""
        # Temporary files are made for their owner alone; the folder's own mode says who may read its files.
        path.chmod(stat.S_IMODE(self.incoming.stat().st_mode) & 0o666)
        path.replace(self.folder / path.name)

    def record(self, file: str, size: int, sha256: str, url: str) -> None:
        """Write down a complete file, at once: the next moment may be the process's last."""
        self.sizes[file] = size
        descriptor = os.open(self.folder / RECORD, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(csv_text([[file, size, sha256, url]]))

    def write_list(self, file: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a list of files, or remove an earlier one where there is nothing to list."""
        if rows:
            _write(self.folder / file, columns, rows)
        else:
            (self.folder / file).unlink(missing_ok=True)


@contextmanager
def open_store(folder: Path, url: str) -> Iterator[Store]:
    """Prepare a folder for one download at a time, and clear away what an interrupted one has left half.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    url : str
        Address of the archive, with a slash at its end.

    Raises
    ------
    InputError
        If another download is under way in the folder, it holds files of another archive, or links in the place of
        the download's own files: what they point to is left alone.
    """
    incoming = folder / INCOMING
    for own in (incoming, *(folder / name for name in (RECORD, *LISTS))):
        if own.is_symlink():
            raise InputError(f"dataset.path={folder}: its {own.name} is a link, which is not followed; remove it")
    incoming.mkdir(parents=True, exist_ok=True)
    lock = os.open(incoming, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise InputError(f"dataset.path={folder}: another download is under way in this folder") from error
    try:
        for half in incoming.iterdir():
            if half.is_dir() and not half.is_symlink():
                shutil.rmtree(half)
            else:
                half.unlink()
        rows = _read_record(folder / RECORD)
        other = next((row for row in rows if not row["url"].startswith(url)), None)
        if other:
            raise InputError(
                f"dataset.path={folder}: its {other['file']} is {other['url']}, not of {url}; give another folder, "
                f"or, if these are two places of one archive, delete {RECORD}: sizes are then compared instead"
            )
        # Written anew, so that the next line to come does not continue half a line.
        _write(folder / RECORD, COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
        yield Store(folder, {row["file"]: int(row["bytes"]) for row in rows})
    finally:
        shutil.rmtree(incoming)
        os.close(lock)


def _read_record(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    if not path.is_file() or path.stat().st_size > LARGEST_RECORD:
        raise InputError(f"{path}: no record of a download; remove it: sizes are then compared instead")
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = csv.reader(text[: text.rfind("\n") + 1].splitlines()[1:])  # the last line may be half a line
    rows = [dict(zip(COLUMNS, map(str, map(unescaped, line)), strict=True)) for line in lines if _is_entry(line)]
    return list({row["file"]: row for row in rows}.values())


def _is_entry(line: Sequence[str]) -> bool:
    return len(line) == len(COLUMNS) and re.fullmatch("[0-9]{1,18}", line[1]) is not None


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    half = path.with_name(INCOMING) / path.name
    half.write_text(csv_text([columns, *rows]), encoding="utf-8", errors="backslashreplace")
    half.replace(path)
