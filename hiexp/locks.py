"""Locks between processes: a file each, which is gone when the lock is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def locked(file: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a lock for the block; the system frees it when the process ends, in whatever way.

    Parameters
    ----------
    file : Path
        The lock's file, made where it is missing and removed at the end.
    timeout : float
        Seconds to wait for another holder; -1 for as long as it takes.

    Raises
    ------
    filelock.Timeout
        If another process still has it.
    OSError
        If the file system takes no file or no lock there.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # Marker files in place of locks, as on a file system without them, would stay behind after a kill.
    with FileLock(file, timeout=timeout, fallback_to_soft=False):
        try:
            yield
        finally:
            file.unlink(missing_ok=True)  # who waits on it sees that it has no name any more, and makes its own


def is_held(file: Path) -> bool:
    """Return whether another process holds a lock, as far as this host can see; one that cannot be tried counts."""
    if not file.exists():
        return False
    try:
        with FileLock(file, timeout=0, fallback_to_soft=False):
            return False
    except OSError:  # a timeout is one, too
        return True
