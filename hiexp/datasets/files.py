"""Files that come from outside: read whole, within bounds and with their checksums verified, before any use."""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from pathlib import Path

from hiexp.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
MOST_BYTES = 2**30  # of a table, on the disk and decompressed
CHUNK = 2**20
KINDS = {stat.S_IFDIR: "Is a directory", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def is_folder(path: Path, setting: str) -> bool:
    """Tell whether a path of a setting is a folder; False where there is nothing.

    Raises
    ------
    InputError
        If nobody can tell: a name that is too long, or a folder on the way that may not be entered.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a null character
        return False
    except OSError as error:
        raise InputError(f"{setting}={path} cannot be read: {error.strerror}; correct the path") from error


def read_content(file: Path, most: int = MOST_BYTES) -> bytes:
    """Read a regular file, decompressed where it is gzipped.

    Parameters
    ----------
    file : Path
        May be a link to a regular file.
    most : int
        Bytes allowed, on the disk and decompressed.

    Returns
    -------
    bytes
        Of a gzipped file the content of all its members. Their checksums and lengths are right.

    Raises
    ------
    InputError
        If it is missing, no regular file (reading a named pipe would never end), too large or damaged; the message
        begins with the file.
    """
    try:
        kind = stat.S_IFMT(file.stat().st_mode)
        if kind != stat.S_IFREG:
            raise InputError(f"{file} cannot be read: {KINDS.get(kind, 'a device')}, and no regular file")
        with file.open("rb") as stream:
            content = _read_bounded(stream, most, file)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            return _read_bounded(stream, most, file)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file} is damaged: gzip says '{error}'; fetch or write it again") from error


def _read_bounded(stream: io.BufferedIOBase, most: int, file: Path) -> bytes:
    """Read to the end, where gzip compares checksum and length of what it has given."""
    parts, size = [], 0
    while part := stream.read(CHUNK):
        size += len(part)
        if size > most:
            raise InputError(f"{file} holds more than {most / 2**20:.0f} MiB; give what is needed of it")
        parts.append(part)
    return b"".join(parts)
