"""The numbers of each epoch, told while something is trained; whoever wants to know listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Listener = Callable[[int, Mapping[str, float]], None]

_listeners: list[Listener] = []


def epoch_ended(epoch: int, values: Mapping[str, float]) -> None:
    """Tell the numbers of an epoch, counted from 1, to those who listen."""
    for listener in _listeners:
        listener(epoch, values)


@contextmanager
def untold() -> Iterator[None]:
    """Keep to itself what is trained within the block: on a part of the training objects, for example."""
    kept, _listeners[:] = _listeners[:], []
    try:
        yield
    finally:
        _listeners[:] = kept


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Let somebody hear of the epochs that end within the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
