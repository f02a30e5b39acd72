"""The folder that receives an archive, and its record of what is complete."""

from __future__ import annotations

import csv
import fcntl
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hiexp.errors import InputError

RECORD, COLUMNS = "downloaded.csv", ("file", "bytes", "sha256", "url")
INCOMING = ".incoming"


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
            path = self.folder / name
            if name in self.sizes and path.is_file() and path.stat().st_size == self.sizes[name]:
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
        with (self.folder / RECORD).open("a", newline="") as handle:
            csv.writer(handle).writerow([file, size, sha256, url])

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
        Of the archive, with a slash at its end.

    Raises
    ------
    InputError
        If another download is under way in the folder, or it holds files of another archive.
    """
    incoming = folder / INCOMING
    incoming.mkdir(parents=True, exist_ok=True)
    lock = os.open(incoming, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise InputError(f"dataset.path={folder}: another download is under way in this folder") from error
    try:
        for half in incoming.iterdir():
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
    text = path.read_text()
    lines = csv.reader(text[: text.rfind("\n") + 1].splitlines()[1:])  # the last line may be half a line
    rows = [dict(zip(COLUMNS, line, strict=True)) for line in lines if len(line) == 4 and line[1].isdigit()]
    return list({row["file"]: row for row in rows}.values())


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    half = path.with_name(INCOMING) / path.name
    with half.open("w", newline="") as handle:
        csv.writer(handle).writerows([columns, *rows])
    half.replace(path)
