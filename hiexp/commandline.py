"""From the shell to a command: what becomes of the words typed, and of signals."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from hiexp.credentials import take_credentials
from hiexp.errors import InputError
from hiexp.signals import ended_by_signals


def start(command: Callable[[], object]) -> None:
    """Run a command with the words in ``sys.argv``.

    Parameters
    ----------
    command : callable
        Reads ``sys.argv`` itself.
    """
    with ended_by_signals():
        try:
            _refuse_deleted_folder()
            sys.argv[1:] = [_prepared(word) for word in sys.argv[1:]]
        except InputError as error:
            sys.exit(str(error))
        command()


def _prepared(word: str) -> str:
    """Return a word with ``~`` as the home folder, which shells leave alone after ``=``, and without a password."""
    word = re.sub(r"(?<==)~(?=/|$)", lambda _: str(Path.home()), word, count=1)
    return take_credentials(word)


def _refuse_deleted_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise InputError("the folder in which this is typed has been deleted; change to another one") from error
