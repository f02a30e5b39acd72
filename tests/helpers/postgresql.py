"""A real PostgreSQL, where the environment names one (.ci/services starts it)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import uuid4

import pytest

SERVICE = "HIEXP_TEST_POSTGRES"  # FOLDER_OF_SOCKET:PORT:USER:PASSWORD, of someone who may make databases and roles

needs_postgresql = pytest.mark.skipif(SERVICE not in os.environ, reason=f"{SERVICE} names no PostgreSQL")


class Server(NamedTuple):
    """Where a server listens, and who may do what he wants there."""

    folder: str
    port: str
    user: str
    password: str

    def uri(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql://127.0.0.1:{self.port}/{name}"

    def ask(self, name: str, *statements: str) -> list[tuple]:
        """Run SQL in a database, each statement a transaction; return the rows of the last."""
        import psycopg

        place = {"host": self.folder, "port": self.port, "user": self.user, "password": self.password}
        with psycopg.connect(dbname=name, autocommit=True, **place) as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall() if found.description else []

    @contextmanager
    def database(self, clause: str = "") -> Iterator[str]:
        """Make a database for the block."""
        name = f"hiexp_{uuid4().hex[:12]}"
        self.ask("postgres", f"create database {name} {clause}")
        try:
            yield name
        finally:
            self.ask("postgres", f"drop database if exists {name} with (force)")


def service() -> Server:
    """Return the server that the environment names."""
    return Server(*os.environ[SERVICE].split(":"))
