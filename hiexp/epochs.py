"""The numbers of each epoch, told while something is trained; whoever wants to know listens, or asks afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

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


def training_history(model: Pipeline) -> dict[str, list[float]]:
    """Return one value an epoch of each quantity that feature and classifier of a model recorded in training."""
    return getattr(model["feature"], "history_", {}) | getattr(model["classifier"], "history_", {})
