"""What containers often lack, and libraries take for granted: a home folder, and a place for compiled code."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def provide_folders() -> None:
    """Give this process and its children a home where the system has none, and numba a cache it can write to."""
    try:
        home = Path.home()
    except RuntimeError:  # a user without an entry in the list of users
        home = own_temporary_folder()
        os.environ["HOME"] = str(home)
    if not os.access(Path(__file__).parent, os.W_OK) and not _can_be_made(home / ".cache" / "numba"):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(own_temporary_folder()))


def own_temporary_folder() -> Path:
    """Return a folder for temporary files of this user alone, the same in every process where that is safe."""
    folder = Path(tempfile.gettempdir(), f"hiexp-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # Somebody else's folder of this name could hold code that numba would run.
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="hiexp-"))


def _can_be_made(folder: Path) -> bool:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(there, os.W_OK)
