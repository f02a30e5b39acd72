"""User names and passwords in the addresses of MLflow stores: used, and written nowhere.

Hydra keeps the words of a command in half a dozen files, and MLflow keeps parameters for good. A password therefore
goes from the address into the environment variables that MLflow and PostgreSQL read, before anything is written.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from hiexp.errors import InputError

# The environment variables that the client of each kind of store reads.
VARIABLES = {
    "http": ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
    "https": ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
    "postgresql": ("PGUSER", "PGPASSWORD"),
}
ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9]*)(?P<driver>\+\w+)?://(?P<user>[^/:@\s'\"]*):(?P<password>[^\s'\"]*)@"
)

TOKEN = re.compile(r"(?P<scheme>https?)://[^/:@\s'\"]+@", re.IGNORECASE)  # or a user, which nobody can tell
# PostgreSQL reads it there, too
QUERY = re.compile(r"(?P<before>postgresql(\+\w+)?://[^\s'\"]*?[?&](ssl)?password)=[^&\s'\"]*", re.IGNORECASE)


def redacted(text: str) -> str:
    """Return a text without the ``user:password@``, ``token@`` or ``?password=`` of the addresses in it."""
    return TOKEN.sub(r"\g<scheme>://", ADDRESS.sub(r"\g<scheme>\g<driver>://", QUERY.sub(r"\g<before>=", text)))


def has_password(text: str) -> bool:
    """Return whether there is an address with a password or a token in a text."""
    return any(kind.search(text) for kind in (ADDRESS, TOKEN, QUERY))


def take_credentials(text: str) -> str:
    """Return a text with the addresses in it `redacted`; user and password go into this process's environment.

    Raises
    ------
    InputError
        If an address is ambiguous, or the password of such a store cannot be given by an environment variable.
    """
    if TOKEN.search(text):
        raise InputError(
            f"{redacted(text)}: a token or a user without a password in an address would be written into every run; "
            "give MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if QUERY.search(text):
        raise InputError(
            f"{redacted(text)}: a password at the end of an address would be written into every run; give it by "
            "PGPASSWORD or in ~/.pgpass"
        )
    for address in ADDRESS.finditer(text):
        variables = VARIABLES.get(address["scheme"].lower())
        if re.search("[/?#@]", address["password"]):  # it may be no password at all: http://HOST:80/x@y
            raise InputError(f"{redacted(text)}: write / ? # @ in a password or a path as %2F %3F %23 %40")
        if variables is None:
            raise InputError(
                f"{redacted(text)}: the password of a store of this kind would be written into files; reach it "
                "through an MLflow server (tracking=server) or a connection that asks for none"
            )
        os.environ.update(zip(variables, (unquote(address["user"]), unquote(address["password"])), strict=True))
    return redacted(text)
