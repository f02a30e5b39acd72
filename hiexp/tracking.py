"""Where runs are recorded."""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Tracking is for the user; nothing is reported to anyone else. Must stand before mlflow is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

PARAMS_A_CALL, METRICS_A_CALL = 100, 1000  # MLflow's limits


@dataclass
class Record:
    """What a run leaves for its tracker: filled while it goes, sent when it ends."""

    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class NoTracking:
    """Record nothing beyond the run's own folder."""

    def prepare(self) -> None:
        """Do nothing: there is no store."""

    @contextmanager
    def run(self, name: str, params: Mapping, tags: Mapping[str, str], folder: Path) -> Iterator[Record]:
        """Yield a record that goes nowhere."""
        yield Record()

    def hint(self, python: str) -> str | None:
        """Return None: there is nothing to look at."""
        return None


@dataclass(frozen=True)
class MlflowTracking:
    """Record runs in an MLflow store on this machine.

    Parameters
    ----------
    uri : str
        ``sqlite:///FILE``.
    artifacts : str
        Folder of the artefacts.
    experiment : str
        Name of the MLflow experiment that collects the runs; made if it is not there.
    """

    uri: str
    artifacts: str
    experiment: str

    def prepare(self) -> None:
        """Create the store and the experiment, so that processes started later find them."""
        self._experiment_id()

    @contextmanager
    def run(self, name: str, params: Mapping, tags: Mapping[str, str], folder: Path) -> Iterator[Record]:
        """Open a run, yield its record, and send record and `folder` when the block ends.

        Parameters
        ----------
        name : str
            Shown in the MLflow UI.
        params : mapping
            Resolved configuration, flat.
        tags : mapping
            Tags.
        folder : Path
            Whatever lies in it at the end becomes the run's artefacts, after an error too.
        """
        from mlflow.entities import Metric, Param, RunTag

        client = self._client()
        run_id = client.create_run(self._experiment_id(), run_name=name, tags=dict(tags)).info.run_id
        rows = [Param(key, str(value)) for key, value in params.items()]
        for start in range(0, len(rows), PARAMS_A_CALL):
            client.log_batch(run_id, params=rows[start : start + PARAMS_A_CALL])
        record, status = Record(), "KILLED"  # unless the block ends by itself
        try:
            yield record
            status = "FINISHED"
        except Exception as error:
            status = "FAILED"
            client.log_batch(run_id, tags=[RunTag("error", str(error)[:5000])])
            raise
        finally:
            now = int(1000 * time.time())
            metrics = [Metric(key, value, now, 0) for key, value in record.metrics.items()]
            for key, curve in record.curves.items():
                metrics += [Metric(key, value, now, epoch) for epoch, value in enumerate(curve, start=1)]
            for start in range(0, len(metrics), METRICS_A_CALL):
                client.log_batch(run_id, metrics=metrics[start : start + METRICS_A_CALL])
            client.log_artifacts(run_id, str(folder))
            client.set_terminated(run_id, status)

    def hint(self, python: str) -> str | None:
        """Return the command that shows the runs in a browser."""
        return f"{python} -m mlflow ui --backend-store-uri {shlex.quote(f'sqlite:///{self._database}')}"

    @property
    def _database(self) -> Path:
        return Path(self.uri.removeprefix("sqlite:///"))

    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        # The making of the tables is announced line by line otherwise.
        logging.getLogger("mlflow.store").setLevel(logging.WARNING)
        self._database.parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(self.uri)

    def _experiment_id(self) -> str:
        client = self._client()
        known = client.get_experiment_by_name(self.experiment)
        if known is not None:
            return known.experiment_id
        return client.create_experiment(self.experiment, artifact_location=Path(self.artifacts).absolute().as_uri())
