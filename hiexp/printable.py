"""Words from outside on their way to a screen, a page or a table: what a terminal would obey is taken out."""

from __future__ import annotations

import math
import re

SEQUENCES = re.compile(  # of ECMA-48: what follows an escape character up to where the terminal goes on with text
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]P^_X]|[\x9d\x90\x9e\x9f\x98])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
# Controls, and what turns the direction of writing or has no width: a name must look like what it is.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
SURROGATES = re.compile("[\ud800-\udfff]")  # bytes of a file name that are no UTF-8: no screen and no file takes them


def printable(text: str, at_most: int | None = None) -> str:
    """Return a text in one line without escape sequences and control characters.

    Parameters
    ----------
    text : str
        From a server, a run's folder or any other place that somebody else has written.
    at_most : int, optional
        Characters to keep.
    """
    if text.isascii() and text.isprintable():
        shown = text
    else:
        shown = UNSEEN.sub("", BREAKS.sub(" ", SEQUENCES.sub("", text)))
        shown = SURROGATES.sub("\ufffd", shown)
    return shown if at_most is None or len(shown) <= at_most else f"{shown[: at_most - 1]}…"


def natural_order(text: str) -> tuple[bool, float, list[str | int]]:
    """Return a sort key that has numbers before words, 2 before 10, and job2 before job10."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    parts = [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d{1,18})", text))]
    return (False, value, parts) if math.isfinite(value) else (True, 0.0, parts)


def counted(number: int, what: str) -> str:
    """Return a number with its noun, in the plural where there is not just one."""
    return f"{number} {what}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """Return how long something takes, with the digits that matter."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
