"""Metrics that reach the store while a run goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from hiexp.tracking.names import grouped

if TYPE_CHECKING:
    from mlflow.entities import Metric

EVERY = 5.0  # seconds between two calls of the store, at the least

log = logging.getLogger(__name__)

Told = dict[str, dict[str, list]]  # of each curve, by the epoch as text: milliseconds since 1970, value, whether sent


class Live:
    """Hears of epochs, notes when each ended, and sends them a few seconds later, from a thread of its own.

    Parameters
    ----------
    told : dict
        Is filled with what is heard. Where an epoch is told twice, in another fold for example, the first counts.
    send : callable
        Takes a list of metrics to the store; after an error it is not called again.
    """

    def __init__(self, told: Told, send: Callable[[list[Metric]], None]) -> None:
        self.told, self.send = told, send
        self.last = time.monotonic()
        self.sender: threading.Thread | None = None

    def __call__(self, epoch: int, values: Mapping[str, float]) -> None:
        """Note the numbers of an epoch, and send what there is if the last time is long enough ago."""
        now = int(1000 * time.time())
        for name, value in values.items():
            self.told.setdefault(name, {}).setdefault(str(epoch), [now, float(value), False])
        if time.monotonic() - self.last > EVERY and not (self.sender and self.sender.is_alive()):
            self.last = time.monotonic()
            self.sender = threading.Thread(target=self._send, daemon=True)
            self.sender.start()

    def _send(self) -> None:
        from mlflow.entities import Metric

        new = [
            (point, Metric(grouped(name), point[1], point[0], int(epoch)))
            for name, points in list(self.told.items())
            for epoch, point in list(points.items())
            if not point[2]
        ]
        try:
            self.send([metric for _, metric in new])
        except Exception as error:  # of any store; all of them are sent at the end
            log.debug("%s", error)
            self.last = float("inf")
            return
        for point, _ in new:
            point[2] = True

    def close(self) -> None:
        """Wait for what is being sent."""
        if self.sender:
            with suppress(RuntimeError):
                self.sender.join(EVERY)
