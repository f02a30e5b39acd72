"""Runs as an MLflow store has them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from weakref import finalize

from hiexp.comparison.runs import Comparison, Run, typed_settings
from hiexp.errors import InputError
from hiexp.long_tables import in_stead, written_table
from hiexp.printable import natural_order, printable
from hiexp.run.files import SEARCH_FILE, VERDICT_FILE
from hiexp.run.reading import LARGEST, read_search, read_verdict
from hiexp.tracking.database import POSTGRESQL, SQLITE, explained
from hiexp.tracking.mlflow_store import PARENT_TAG, SWEEP, found_experiments, found_runs
from hiexp.tracking.names import plain
from hiexp.tracking.postgresql import address, has_store

if TYPE_CHECKING:  # MLflow takes a second to import
    from mlflow.entities import Run as Recorded

STATES = {"FINISHED": "done", "FAILED": "failed", "KILLED": "failed"}


class Store:
    """An MLflow store that is only read.

    Parameters
    ----------
    uri : str
        ``sqlite:///FILE``, ``postgresql://...`` or ``http://...``.

    Raises
    ------
    InputError
        If there is no store.
    """

    def __init__(self, uri: str) -> None:
        for name in ("mlflow", "alembic", "urllib3"):  # what goes wrong is said once, below
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if not _is_there(uri):  # MLflow would make one
            raise InputError(
                f"--uri {uri}: no such store; type this in the folder where the runs were started, or name its store"
            )
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self.uri, self.scratch = uri, mkdtemp(prefix="hiexp-compare-")
        self.client = MlflowClient(address(uri) if uri.startswith(POSTGRESQL) else uri)
        finalize(self, shutil.rmtree, self.scratch, ignore_errors=True)
        try:
            self.experiments = found_experiments(self.client)
        except MlflowException as error:
            raise InputError(f"--uri {uri}: cannot be read ({str(error).splitlines()[0][:200]})") from error

    def experiment(self, name: str) -> Comparison:
        """Return all runs of an experiment, the parents of its sweeps left out.

        Raises
        ------
        InputError
            If there is no such experiment, or no run in it.
        """
        if name not in self.experiments:
            raise InputError(f"--experiment {name}: not in {self.uri}; there are {', '.join(self.experiments)}")
        recorded = found_runs(self.client, [self.experiments[name]])
        runs = tuple(self._run(run, run.info.run_id[:8]) for run in recorded if run.data.tags.get("kind") != SWEEP)
        if not runs:
            raise InputError(f"--experiment {name}: there is no run in it yet")
        return Comparison(f"experiment {name}", "", runs)

    def sweeps(self) -> list[Recorded]:
        """Return the parent runs of all sweeps, the latest first."""
        return found_runs(self.client, list(self.experiments.values()), f"tags.kind = '{SWEEP}'")

    def sweep(self, parent: Recorded) -> Comparison:
        """Return the runs of a sweep by the number of their job."""
        tags = parent.data.tags
        children = found_runs(
            self.client, [parent.info.experiment_id], f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
        )
        # Of a job that was done again after an interruption the one that ended well counts.
        children.sort(key=lambda run: (run.info.status == "FINISHED", run.info.start_time))
        by_job = {run.data.tags.get("job", run.info.run_id[:8]): run for run in children}
        runs = [self._run(run, job) for job, run in sorted(by_job.items(), key=lambda item: natural_order(item[0]))]
        damaged: list[str] = []
        files = self._files(parent)
        verdict = _read(read_verdict, files(VERDICT_FILE), damaged)
        search = _read(read_search, files(SEARCH_FILE), damaged)
        return Comparison(
            title=printable("/".join(Path(tags.get("folder", parent.info.run_name)).parts[-2:])),
            command=printable(tags.get("command", "")),
            runs=tuple(runs),
            verdict=verdict,
            damaged=tuple(damaged),
            search=search,
        )

    def _run(self, recorded: Recorded, name: str) -> Run:
        tags = {key: printable(value) for key, value in recorded.data.tags.items()}
        params = {printable(key): printable(value) for key, value in recorded.data.params.items()}
        return Run(
            name=printable(name),
            settings=typed_settings(tags.get("command", "")) | params,
            metrics={plain(name): value for name, value in recorded.data.metrics.items() if not abs(value) > LARGEST},
            command=tags.get("command", ""),
            state="pruned" if "pruned" in tags else STATES.get(recorded.info.status, "not finished"),
            reason=tags.get("pruned", tags.get("error", "")),
            folder=tags.get("folder", ""),
            file=self._files(recorded),
        )

    def _files(self, recorded: Recorded) -> Callable[[str], Path | None]:
        """Return what finds a run's files: in its folder, or among its artefacts where the folder is gone."""
        folder, run_id = recorded.data.tags.get("folder"), recorded.info.run_id

        def file(name: str) -> Path | None:
            if folder and Path(folder).is_dir():
                found = written_table(Path(folder, name))
                return found if found.exists() else None
            target = Path(self.scratch, run_id)
            target.mkdir(exist_ok=True)
            for kept in (name, in_stead(name)):
                with suppress(Exception):  # the errors of whatever keeps the artefacts
                    return Path(self.client.download_artifacts(run_id, kept, str(target)))
            return None

        return file


def _read(read: Callable[[Path], Any], file: Path | None, damaged: list[str]) -> Any:
    """Return what a file says, or None where there is none or it is damaged; the latter is noted."""
    try:
        return read(file) if file else None
    except InputError as error:
        damaged.append(printable(str(error)))
        return None


def _is_there(uri: str) -> bool:
    """Return whether there is a store; a server is asked later."""
    if uri.startswith(SQLITE):
        return Path(uri.removeprefix(SQLITE)).exists()
    if not uri.startswith(POSTGRESQL):
        return True
    try:
        return has_store(uri)
    except Exception as error:  # of driver, server or database
        raise explained(error, uri) from error
