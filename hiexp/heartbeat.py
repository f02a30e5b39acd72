"""Whether the process of a run is alive, as far as other hosts can tell: a lock that it holds, and a file it touches.

On one host, and where a shared disk has locks between hosts, the lock decides. Some have none (NFS mounted with
``nolock`` or ``local_lock``, Lustre with ``localflock``): there two hosts may both hold a lock, without a word.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from hiexp.errors import InputError
from hiexp.locks import is_held, locked
from hiexp.writing import write_whole

ALIVE_FILE, LOCK_FILE = ".alive", ".alive.lock"  # in the folder of a run or a sweep
BEAT, SILENT = 15.0, 90.0  # seconds between two touches, and without one after which nobody is thought to be there


@contextmanager
def beating(folder: Path) -> Iterator[None]:
    """Show for the block that the process whose folder it is lives.

    Raises
    ------
    InputError
        If another process is at work there, or the folder takes no lock.
    """
    file, over = folder / ALIVE_FILE, threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            with suppress(OSError):  # the disk may be full, and work goes on
                file.touch()

    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK_FILE, timeout=BEAT))
        except Timeout as error:
            raise InputError(
                f"{folder}: another process ({host_of(folder) or 'unknown'}) is at work in this folder; wait for it, "
                "or choose another folder"
            ) from error
        except OSError as error:
            raise InputError(
                f"{folder}: this disk takes no lock ({error.strerror or error}); choose another one with root=FOLDER"
            ) from error
        write_whole(file, json.dumps({"host": platform.node(), "pid": os.getpid()}))
        threading.Thread(target=beat, daemon=True).start()
        try:
            yield
        finally:
            over.set()
            file.unlink(missing_ok=True)


def host_of(folder: Path) -> str | None:
    """Return the host whose process has shown that it lives, lately or long ago; None where none has."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((folder / ALIVE_FILE).read_text())["host"])
    return None


def silent_for(folder: Path) -> float:
    """Return the seconds since the process of a folder has last shown that it lives; infinite where it never has."""
    try:
        last = (folder / ALIVE_FILE).stat().st_mtime
    except OSError:
        return float("inf")
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".") as here:  # by the clock of the disk, not this host's
            return Path(here.name).stat().st_mtime - last
    except OSError:  # somebody else's folder
        return time.time() - last


def is_at_work(folder: Path) -> bool:
    """Return whether somebody is at work in a folder: holds its lock, or has shown so lately from another host."""
    if is_held(folder / LOCK_FILE):
        return True
    return host_of(folder) not in (None, platform.node()) and silent_for(folder) <= SILENT


def is_dead(folder: Path, host: str) -> bool:
    """Return whether the process of a run that has not ended is gone, as far as can be told from here.

    Parameters
    ----------
    folder : Path
        The run's.
    host : str
        Where it was started.
    """
    if is_held(folder / LOCK_FILE):
        return False
    if host == platform.node():
        return True
    return folder.is_dir() and silent_for(folder) > SILENT  # a folder that is not here may be on that host's own disk


def without_common_locks(folder: Path) -> str | None:
    """Return the host whose lock is not seen here, though its process lives; None where all is well.

    Parameters
    ----------
    folder : Path
        A run's or a sweep's that another process is at.
    """
    host = host_of(folder)
    if host in (None, platform.node()) or silent_for(folder) > SILENT or is_held(folder / LOCK_FILE):
        return None
    return host if silent_for(folder) <= SILENT else None  # it has not just ended
