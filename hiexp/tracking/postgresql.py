"""A PostgreSQL database that holds an MLflow store: how it is reached, and its tables made once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.errors import InputError
from hiexp.tracking.database import POSTGRESQL, latest_version, make_tables, of_another_version

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Seconds, of a server that is not there, and of one that does not answer any more (milliseconds: data that it does
# not confirm). PostgreSQL's own patience is hours.
PATIENCE = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
LOCK = int.from_bytes(b"hiexp")  # of the database: who has it makes the tables
TABLES = "select tablename from pg_tables where schemaname = any(current_schemas(false))"
VERSION = "select version_num, exists (select from experiments) from alembic_version"


def address(uri: str) -> str:
    """Return what SQLAlchemy is told: the address with the driver that is installed, and when to give up."""
    from sqlalchemy import make_url

    url = make_url(uri).set(drivername=POSTGRESQL[1].removesuffix("://"))
    return url.update_query_dict(PATIENCE | dict(url.query)).render_as_string(hide_password=False)


@contextmanager
def connected(uri: str, artifacts: Path) -> Iterator[str]:
    """Yield the address of a store for MLflow, which keeps no connection after the block.

    A job that trains for hours would hold one of the hundred that a PostgreSQL has for everyone, and a process forked
    from it would use the same.

    Parameters
    ----------
    uri, artifacts
        As in `prepare`.
    """
    engine = _prepared(uri, artifacts)
    try:
        yield address(uri)
    finally:
        engine.dispose()


def prepare(uri: str, artifacts: Path) -> None:
    """Make a store where there is none; of processes that find none one makes it, and the others wait.

    Parameters
    ----------
    uri : str
        The database, without a password.
    artifacts : Path
        Folder of the artefacts of MLflow's own experiment.

    Raises
    ------
    InputError
        If it is a database of something else, or of another version of MLflow.
    sqlalchemy.exc.SQLAlchemyError
        If it cannot be reached or used.
    """
    from sqlalchemy import text

    if has_store(uri):
        return
    with _engine(uri).begin() as connection:  # the lock ends with the transaction
        connection.execute(text("set local lock_timeout = '60s'"))
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        if not has_store(uri):
            make_tables(address(uri), artifacts)


def has_store(uri: str) -> bool:
    """Return whether a database has a whole store; an empty one, or what a kill left of the making, has none.

    This is also where a server that is away is found out: MLflow would try to reach it for minutes.

    Raises
    ------
    InputError
        If it is a database of something else, or of another version of MLflow.
    sqlalchemy.exc.SQLAlchemyError
        If it cannot be reached or read.
    """
    from sqlalchemy import text

    with _engine(uri).connect() as connection:
        tables = set(connection.scalars(text(TABLES)))
        if {"alembic_version", "experiments", "runs"} <= tables:
            ((version, begun),) = connection.execute(text(VERSION)).all()
            if version != _known_version():
                raise InputError(f"{uri}: {of_another_version(uri)}")
            return begun
    if tables:
        from mlflow.store.tracking.dbmodels.initial_models import Base

        if not tables <= set(Base.metadata.tables):
            raise InputError(f"{uri}: this is a database of something else; make another one with createdb")
    return False


_known_version = functools.cache(latest_version)


@functools.cache
def _engine(uri: str) -> Engine:
    """Return an engine of our own, which keeps no connection."""
    from sqlalchemy import NullPool, create_engine

    return create_engine(address(uri), poolclass=NullPool)


@functools.cache
def _prepared(uri: str, artifacts: Path) -> Engine:
    """Return MLflow's engine of a store that is there, which a process looks at once."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    prepare(uri, artifacts)
    return SqlAlchemyStore(address(uri), artifacts.as_uri()).engine
