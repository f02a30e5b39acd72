"""The garbage collector, kept from what the libraries make when they are imported: a million objects that stay."""

from __future__ import annotations

import functools
import gc

USUAL = gc.get_threshold()
IMPORTING = 100_000  # objects made before it looks


def spare_imports() -> None:
    """Let it look seldom, until `freeze_imports`."""
    gc.set_threshold(IMPORTING, *USUAL[1:])


@functools.cache
def freeze_imports() -> None:
    """Keep it from what is there by now, and let it look as often as it usually does.

    It would walk over all of it again and again: the pictures of one job are enough to start it.
    """
    gc.freeze()
    gc.set_threshold(*USUAL)
