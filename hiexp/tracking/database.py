"""The SQLite file of a local MLflow store: made whole or not at all, and what can be wrong with one."""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from hiexp.errors import InputError

log = logging.getLogger(__name__)


def prepare_database(file: Path, make: Callable[[str], object]) -> None:
    """Make a store where there is none, or where an earlier try left one without tables and runs.

    Parameters
    ----------
    file : Path
        The database.
    make : callable
        Makes MLflow's tables in the database of a URI.

    Raises
    ------
    InputError
        If the file is no SQLite database, or cannot be read or written.
    """
    try:
        if file.exists() and not _unfinished(file):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        for left in file.parent.glob(f".{file.name}.*.partial*"):
            left.unlink()
        # Under another name, since a process that is killed or a disk that is full leaves half of the tables; one of
        # its own, since MLflow keeps connections to the databases that it has seen.
        partial = file.with_name(f".{file.name}.{uuid.uuid4().hex}.partial")
        try:
            make(f"sqlite:///{partial}")
            _remove(file)
            partial.rename(file)
        finally:
            _remove(partial)
    except Exception as error:
        raise explained(error, file) from error


def explained(error: Exception, file: Path) -> InputError:
    """Return what is wrong with a store, in one line with the cure, from the error of whatever library met it."""
    if isinstance(error, InputError):
        return error
    brief = str(error).partition("\n")[0].replace("(sqlite3.OperationalError) ", "")[:200]
    text = str(error).lower()
    aside = f"move it away (mv {file} {file}.old) and a new one is made; what runs have found stays in runs/"
    if "out-of-date database schema" in text or "can't locate revision" in text:
        cure = (
            "it was made by another version of MLflow; if by an older one, copy it and type  python -m mlflow db "
            f"upgrade sqlite:///{file}  else install that version, or choose another folder with root="
        )
    elif "not a database" in text or "malformed" in text or "no such table" in text:
        cure = aside
    elif "full" in text or "i/o" in text or "readonly" in text or "read-only" in text or isinstance(error, OSError):
        cure = "make room and see to the permissions, or choose a folder on another disk with root="
    else:
        cure = f"{aside}; or do without it: tracking=none"
    return InputError(f"{file}: this MLflow store cannot be used ({brief}): {cure}")


def _unfinished(file: Path) -> bool:
    """Return whether a store holds nothing and is not as MLflow makes it: what a kill leaves of its making."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
        held = [
            database.execute(f"select count(*) from {table}").fetchone()[0] if table in tables else 0
            for table in ("runs", "experiments")
        ]
        if held[0] > 0 or held[1] > 1:  # every store has MLflow's own experiment
            return False
        if tables and "alembic_version" not in tables and "experiments" not in tables:
            raise InputError(f"{file}: this is a database of something else; choose another folder with root=")
        versions = database.execute("select * from alembic_version") if "alembic_version" in tables else ()
        return [version for (version,) in versions] != [_latest_version()]


def _latest_version() -> str | None:
    """Return the version of the tables that the MLflow installed here makes."""
    import mlflow.store
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(mlflow.store.__file__).parent / "db_migrations")).get_current_head()


def _remove(file: Path) -> None:
    """Remove a database with what SQLite keeps beside it during a transaction."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
