"""Databases that hold an MLflow store: SQLite files, made whole or not at all, and what can be wrong with a store."""

from __future__ import annotations

import logging
import re
import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hiexp.errors import InputError

SQLITE = "sqlite:///"
POSTGRESQL = ("postgresql://", "postgresql+psycopg://")

STILL_S = 5  # a store that nobody has written to for so long is not being made any more

# What libraries say of a store, in lower case, and what to do about it; the first that is found.
Cures = tuple[tuple[str, str], ...]


def prepare_sqlite(file: Path) -> None:
    """Make a store where there is none, or where an earlier try left one without tables and runs.

    Parameters
    ----------
    file : Path
        The database.

    Raises
    ------
    InputError
        If the file is no SQLite database, or cannot be read or written.
    """
    try:
        if not _to_be_made(file):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        for left in file.parent.glob(f".{file.name}.*.partial*"):
            left.unlink()
        # Under another name, since a process that is killed or a disk that is full leaves half of the tables; one of
        # its own, since MLflow keeps what it has found out about the databases that it has seen.
        partial = file.with_name(f".{file.name}.{uuid.uuid4().hex}.partial")
        try:
            make_tables(f"{SQLITE}{partial}", file.parent / "artifacts")
            if _to_be_made(file):  # still: who made it meanwhile keeps on writing to what is removed here
                _remove(file)
                partial.rename(file)
        finally:
            _remove(partial)
    except Exception as error:
        raise explained(error, f"{SQLITE}{file}") from error


def make_tables(address: str, artifacts: Path) -> None:
    """Make MLflow's tables in a database, and its own experiment, which keeps artefacts in a folder.

    Parameters
    ----------
    address : str
        The database, as SQLAlchemy is told.
    artifacts : Path
        The folder.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)  # what goes wrong is said once, by who asks
    # MLflow writes the folder's address into SQL as it is, and a working folder may have quotes in its name.
    SqlAlchemyStore(address, artifacts.absolute().as_uri())


def latest_version() -> str | None:
    """Return the version of the tables that the MLflow installed here makes."""
    import mlflow.store
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(Path(mlflow.store.__file__).parent / "db_migrations")).get_current_head()


def explained(error: Exception, uri: str) -> InputError:
    """Return what is wrong with a store, in one line with the cure, from the error of whatever library met it."""
    if isinstance(error, InputError):
        return error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    brief = re.sub(r"^\([\w.]+\) (connection failed: )?", "", lines[0])[:200]
    place, cures = (_sqlite if uri.startswith(SQLITE) else _postgresql)(uri)
    cure = next(cure for words, cure in cures if re.search(words, str(error).lower()))
    return InputError(f"{place}: this MLflow store cannot be used ({brief}): {cure}")


def of_another_version(uri: str) -> str:
    """Return what to do about a store whose tables are not those that the MLflow installed here makes."""
    return (
        "it was made by another version of MLflow; if by an older one, copy it and type  python -m mlflow db "
        f"upgrade '{with_driver(uri)}'  else install that version, or choose another store"
    )


def with_driver(uri: str) -> str:
    """Return the address of a database with the driver that is installed; SQLAlchemy may know another one first."""
    return uri.replace(POSTGRESQL[0], POSTGRESQL[1], 1) if uri.startswith(POSTGRESQL) else uri


def _sqlite(uri: str) -> tuple[str, Cures]:
    """Return the name of a store in a file, and the cures for it."""
    file = uri.removeprefix(SQLITE)
    aside = f"move it away (mv {file} {file}.old) and a new one is made; what runs have found stays in runs/"
    room = "make room and see to the permissions, or choose a folder on another disk with root="
    return file, (
        ("out-of-date database schema|can't locate revision", of_another_version(uri)),
        ("not a database|malformed|no such table", aside),
        (r"full|i/o|read-?only|\[errno", room),
        ("", f"{aside}; or do without it: tracking=none"),
    )


def _postgresql(uri: str) -> tuple[str, Cures]:
    """Return the name of a store in PostgreSQL, and the cures for it."""
    parts = urlsplit(uri)
    host, _, port = parts.netloc.rpartition("@")[2].partition(":")
    asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
    flags = {"-h": host or asked.get("host"), "-p": port or asked.get("port")}
    where = "".join(f" {flag} {value}" for flag, value in flags.items() if value)
    name = parts.path.strip("/") or "NAME"
    here = "or record on this machine: leave tracking and tracking.uri out"
    return uri, (
        ("no module named|no pq wrapper", "install its driver:  pip install 'hiexp[postgres]'"),
        ('database ".*" does not exist', f"make the database:  createdb{where} {name}"),
        (
            'no password supplied|authentication failed|role ".*" does not exist',
            "give user and password by PGUSER and PGPASSWORD, or in ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, "
            "chmod 600)",
        ),
        ("no pg_hba.conf entry", "the server's pg_hba.conf must let this host and user in"),
        (
            "permission denied for schema|no schema has been selected",
            f"its owner lets you make tables by  psql{where} -d {name} -c 'grant all on schema public to USER'",
        ),
        ("permission denied|must be owner", "reach it as the user who has made its tables (PGUSER)"),
        ("out-of-date database schema|can't locate revision", of_another_version(uri)),
        ("too many clients|connection slots", "raise max_connections of the server, or run fewer jobs at a time"),
        (
            "could not parse|invalid literal|invalid connection option|invalid port|invalid integer",
            "write postgresql://HOST:PORT/DATABASE, or postgresql:///DATABASE?host=FOLDER_OF_THE_SOCKET",
        ),
        (
            "refused|no such file|timeout|timed out|resolve|translate|unreachable|no route|starting up|shutting down",
            f"start the server, see to host and port, {here}",
        ),
        ("", f"see to it, {here}"),
    )


def _to_be_made(file: Path) -> bool:
    """Return whether there is no store or an unfinished one, once nobody writes to it: MLflow may be making it."""
    until = time.monotonic() + 12 * STILL_S
    while file.exists() and _unfinished(file):
        if time.time() - file.stat().st_mtime > STILL_S or time.monotonic() > until:
            return True
        time.sleep(0.2)
    return not file.exists()


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
        return [version for (version,) in versions] != [latest_version()]


def _remove(file: Path) -> None:
    """Remove a database with what SQLite keeps beside it during a transaction."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
