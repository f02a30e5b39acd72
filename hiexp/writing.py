"""Files are written under another name and renamed: half of one is never there under its own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FICLONE = 0x40049409  # <linux/fs.h>
SHARED_FROM = 1 << 25  # bytes of a file, from which on it is not copied where it can be shared


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


def copy(source: Path, target: Path) -> None:
    """Copy a file; where the disk can, both share what is written until one of them changes.

    A large Parquet file, which nobody edits, is one file under two names where the disk cannot: it may be read only.
    """
    if _cloned(source, target):
        return
    if source.suffix == ".parquet" and source.stat().st_size > SHARED_FROM:
        with suppress(OSError):
            source.chmod(0o444)
            os.link(source, target)
            return
    shutil.copyfile(source, target)


def _cloned(source: Path, target: Path) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl

    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
        except OSError:  # another disk, or one that cannot
            new.close()
            target.unlink()
            return False
    return True
