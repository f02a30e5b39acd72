"""How a command ends that is told to: with one line, its runs marked, and a status that says which signal it was."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C, and what schedulers and shells send: SLURM's scancel and time limits, a terminal that is closed, ulimit.
ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)


AGAIN = 5.0  # seconds after which a signal that nothing came of is told again
AT_ONCE = 0.01


class Interrupted(KeyboardInterrupt):
    """A signal has asked the command to end. Like Ctrl-C it is nothing that code should catch and go on after."""


_received: list[signal.Signals] = []
_waiting = False  # whether signals wait for the end of a block


def received() -> signal.Signals | None:
    """Return the first signal that has asked this process to end."""
    return _received[0] if _received else None


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals end the block as Ctrl-C does, and the process with the status 128 + signal, whatever came of it.

    A signal that is ignored when the block begins (nohup) stays so.
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _end)
    signal.signal(signal.SIGALRM, _end_again)
    hook, sys.unraisablehook = sys.unraisablehook, _told_in_vain
    try:
        yield
    except BaseException:  # of an interrupt that a library has turned into an error of its own, too
        if received() is None:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        if received() is None:  # else runs are still to be marked on the way out
            for number, handler in before.items():
                signal.signal(number, handler)
    last = received()
    if last is not None:
        sys.stderr.write(f"Stopped by {last.name}.\n")
        sys.exit(128 + last)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals wait for the end of the block, a transaction for example; Ctrl-C pressed again does not wait."""
    global _waiting  # noqa: PLW0603  signal handlers take no state of their own
    if _waiting or threading.current_thread() is not threading.main_thread():
        yield
        return
    n_before, _waiting = len(_received), True
    try:
        yield
    finally:
        _waiting = False
    if len(_received) > n_before:
        raise Interrupted


def _end(number: int, _frame: FrameType | None) -> None:
    again = number in _received
    _received.append(signal.Signals(number))
    if again and number != signal.SIGINT:  # sent again while the runs are marked: SIGKILL is there for more
        return
    signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
    if not _waiting or again:
        raise Interrupted


def _end_again(_number: int, _frame: FrameType | None) -> None:
    """End what goes on: what was told before came to nothing, in a library that catches everything for example."""
    if not _waiting:
        raise Interrupted


def _told_in_vain(dropped: sys.UnraisableHookArgs) -> None:
    """Tell again at once what Python drops because it was raised while an object was destroyed."""
    if issubclass(dropped.exc_type, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, AT_ONCE, AGAIN)
    else:
        sys.__unraisablehook__(dropped)
