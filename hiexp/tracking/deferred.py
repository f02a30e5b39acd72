"""Runs that are recorded on disk alone, and sent later by whoever reaches the store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.printable import counted
from hiexp.tracking.mlflow_store import MlflowTracking, Record, now_ms

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)


class DeferredTracking(MlflowTracking):
    """Keep every run as ``record.json`` in its folder; the end of a sweep, or ``python -m hiexp.sync``, sends them.

    For hosts that do not reach the store. None is asked, so that a sweep takes nothing over from earlier ones.
    """

    libraries = ()
    locks = False
    deferred = True

    def prepare(self) -> None:
        """Do nothing: nobody is asked."""

    def begin(self, record: Record) -> bool:
        """Note where the run will be sent to."""
        record.experiment, record.store = self.experiment, self.uri
        return False

    def end(self, record: Record, folder: Path, *, begun: bool = False) -> None:
        """Keep the run in its folder."""
        record.ended = now_ms()
        record.write(folder)

    def resend(self, runs: Path) -> list[Path]:
        """Send nothing while jobs are at work."""
        return []

    def deliver(self, sweep: Path) -> None:
        """Send what a sweep and its jobs have kept; a warning says so if the store does not answer."""
        sent = super().resend(sweep)
        log.info("%s sent to %s", counted(len(sent), "run"), self.uri)

    def runs(self, tags: Mapping[str, str], status: str | None = None) -> list[Run]:
        """Return no runs."""
        return []
