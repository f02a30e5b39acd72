"""Where runs are recorded."""

from __future__ import annotations

import json
import logging
import os
import shlex
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from hiexp.epochs import told_to
from hiexp.errors import InputError, PrunedError
from hiexp.heartbeat import ALIVE_FILE, LOCK_FILE
from hiexp.kinds import Name
from hiexp.locks import locked
from hiexp.signals import uninterrupted
from hiexp.tracking.credentials import take_credentials
from hiexp.tracking.database import POSTGRESQL, SQLITE, explained, prepare_sqlite, with_driver
from hiexp.tracking.inputs import dataset_inputs
from hiexp.tracking.live import Live, Told
from hiexp.tracking.models import MODEL_FOLDER, REGISTER_TAG, fetch_model, is_model, log_model, register
from hiexp.tracking.names import grouped
from hiexp.tracking.postgresql import connected
from hiexp.tracking.view import STATE, STATE_TAG, page
from hiexp.writing import write_whole

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Run
    from mlflow.store.entities import PagedList

# Must stand before mlflow is imported. Tracking is for the user; nothing is reported to anyone else. A server that is
# away is found out in seconds (MLflow's own patience is minutes), since nothing is lost by it.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # of each run; `hint` is enough

log = logging.getLogger(__name__)

T = TypeVar("T")
SWEEP = "sweep"  # tag `kind` of the run that stands for a whole sweep
PARENT_TAG = "mlflow.parentRunId"
UID_TAG = "run_uid"  # known before MLflow gives a run its id, and the same in every store; the run's folder has it
SWEEP_UID_TAG = "sweep_uid"  # of the sweep that a job belongs to
RECORD_FILE = "record.json"  # in a run's folder: what the tracker does not have yet
REFUSED_FILE = "record.refused.json"  # a record that a store has refused
NOT_SENT = (RECORD_FILE, REFUSED_FILE, ALIVE_FILE, LOCK_FILE)
NOTE_TAG = "mlflow.note.content"  # shown on the run's page, as Markdown
AT_THE_END = ("error", NOTE_TAG)  # tags that are known only then
# Of an experiment: it is about training, where MLflow would guess traces of language models; which columns it has.
VIEW = {"mlflow.experimentKind": "custom_model_development", STATE_TAG: STATE}
LOCAL_PAGES = "http://127.0.0.1:5000"  # where `mlflow ui` has its pages unless it is told otherwise
STATUSES = ("RUNNING", "FINISHED", "FAILED", "KILLED")
PARAMS_A_CALL, METRICS_A_CALL, PAGE = 100, 1000, 1000  # MLflow's limits
CONNECT_SECONDS = 5
SAMPLING = 2  # seconds between two looks at processor, memory and disk
OF_SERVER = "mlflow-artifacts:"  # where a server keeps files, which MLflow finds through it alone


@dataclass
class Record:
    """What a run leaves for its tracker: filled while it goes, sent when it ends.

    Attributes
    ----------
    name : str
        Shown in the MLflow UI.
    params : dict of str to str
        Resolved configuration, flat.
    tags : dict of str to str
        What the run is and where it comes from.
    metrics : dict of str to float
        The last word of each.
    curves : dict of str to sequence of float
        A value an epoch.
    status : str
        RUNNING, FINISHED, FAILED or KILLED.
    started, ended : int or None
        Milliseconds since 1970.
    run_id : str or None
        MLflow's, once it has one.
    experiment, store : str
        MLflow's experiment and the URI of its store.
    inputs : list of dict
        The samples, as `hiexp.tracking.inputs.sample` returns them.
    told : dict
        What the store has been told of the curves while the run went, as `hiexp.tracking.live` has it.
    """

    name: str = ""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Sequence[float]] = field(default_factory=dict)
    status: str = "RUNNING"
    started: int = field(default_factory=lambda: now_ms())
    ended: int | None = None
    run_id: str | None = None
    experiment: str = ""
    store: str = ""
    inputs: list[dict[str, object]] = field(default_factory=list)
    told: Told = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Keep it as ``record.json``."""
        write_whole(folder / RECORD_FILE, json.dumps(asdict(self), indent=1, default=float))

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `write` kept.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        found = json.loads(file.read_text())
        kinds = {one.name: type(getattr(cls(), one.name)) for one in fields(cls)}
        if not isinstance(found, dict):
            raise ValueError("not what a run leaves")
        for name in ("inputs", "told"):  # which there were not always
            found.setdefault(name, kinds[name]())
        if found.keys() != kinds.keys():
            raise ValueError("not what a run leaves")
        for name, kind in kinds.items():
            if not (isinstance(found[name], kind) or (kind is type(None) and isinstance(found[name], int | str))):
                raise ValueError(f"{name} is {found[name]!r}")
        if UID_TAG not in found["tags"] or not found["store"] or not found["experiment"]:
            raise ValueError(f"it has no {UID_TAG}, store or experiment")
        if found["status"] not in STATUSES:
            raise ValueError(f"status is {found['status']!r}")
        return cls(**found)


def now_ms() -> int:
    """Return the milliseconds since 1970, as MLflow counts time."""
    return int(1000 * time.time())


def found_runs(client: MlflowClient, experiments: Sequence[str], condition: str = "") -> list[Run]:
    """Return all runs of experiments, by their ids, that meet a condition, the newest first.

    MLflow answers with a page at a time.
    """

    def page(token: str | None) -> PagedList[Run]:
        newest_first = ["attributes.start_time DESC"]
        return client.search_runs(
            [*experiments], condition, max_results=PAGE, order_by=newest_first, page_token=token
        )

    return _pages(page)


def found_experiments(client: MlflowClient) -> dict[str, str]:
    """Return the ids of all experiments of a store by their names."""

    def page(token: str | None) -> PagedList[Experiment]:
        return client.search_experiments(max_results=PAGE, page_token=token)

    return {found.name: found.experiment_id for found in _pages(page)}


def _pages(ask: Callable[[str | None], PagedList[T]]) -> list[T]:
    """Return what is on all pages, each asked for by the token of the one before."""
    found = ask(None)
    rows, token = list(found), found.token
    while token:
        found = ask(token)
        rows, token = rows + list(found), found.token
    return rows


@dataclass(frozen=True)
class NoTracking:
    """Record nothing beyond the run's own folder."""

    reuse = locks = deferred = False
    register = None
    uri = ""
    libraries = ()

    def prepare(self) -> None:
        """Do nothing: there is no store."""

    @contextmanager
    def run(self, name: str, params: Mapping, tags: Mapping[str, str], folder: Path) -> Iterator[Record]:
        """Yield a record that goes nowhere."""
        yield Record()

    def own_tags(self) -> dict[str, str]:
        """Return no tags."""
        return {}

    def log_now(self, record: Record, numbers: Mapping[str, float], step: int) -> None:
        """Send nothing."""

    def begin(self, record: Record) -> bool:
        """Do nothing."""
        return True

    def resend(self, runs: Path) -> list[Path]:
        """Send nothing."""
        return []

    def deliver(self, sweep: Path) -> None:
        """Send nothing."""

    def is_there(self) -> bool:
        """Return False: there is no store."""
        return False

    def runs(self, tags: Mapping[str, str], status: str | None = None) -> list[Run]:
        """Return no runs."""
        return []

    def find(self, run_id: str) -> Run | None:
        """Return None."""
        return None

    def end(self, record: Record, folder: Path, *, begun: bool = True) -> None:
        """Do nothing."""

    def close(self, run: Run, status: str) -> None:
        """Do nothing."""

    def fetch(self, run: Run, folder: Path) -> None:
        """Fetch nothing."""

    def register_model(self, uid: str, run_id: str | None, description: str) -> str | None:
        """Return None: there is no registry."""
        return None

    def hint(self, python: str) -> str | None:
        """Return None: there is nothing to look at."""
        return None


@dataclass(frozen=True)
class MlflowTracking:
    """Record runs in an MLflow store on this machine, in a PostgreSQL database, or on an MLflow server.

    Parameters
    ----------
    uri : str
        ``sqlite:///FILE``, ``postgresql://HOST:PORT/DATABASE``, or ``http://HOST:PORT`` of a server.
    experiment : str
        Name of the MLflow experiment that collects the runs; made if it is not there.
    artifacts : str or None
        Folder of the artefacts of a database (``mlruns/artifacts``); a server has a place of its own.
    reuse : bool
        Whether a sweep takes over what an earlier one has finished under the same settings, data and code.
    register : str or None
        Name in MLflow's registry that the model of a run, or of the best of a sweep, becomes a version of.
    tags : mapping of str to str, bool or number
        Tags of all runs.
    note : str or None
        Shown on each run's page, as Markdown.
    system_metrics : bool
        Whether MLflow samples processor, memory and disk while a run goes.
    """

    uri: str
    artifacts: str | None
    experiment: str
    reuse: bool = True
    register: Name | None = None
    tags: Mapping[str, str | bool | int | float] = field(default_factory=dict, hash=False)
    note: str | None = None
    system_metrics: bool = False

    deferred = False  # whether runs wait in their folders until somebody sends them

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", take_credentials(self.uri))

    def prepare(self) -> None:
        """Create the store and the experiment, so that processes started later find them.

        Raises
        ------
        InputError
            If there is a server to ask and it does not answer, or the store or the experiment cannot be used.
        """
        try:
            with self._locked_client() as client:
                self._experiment_id(client)
        except Exception as error:
            raise self._explained(error) from error

    @contextmanager
    def run(self, name: str, params: Mapping, tags: Mapping[str, str], folder: Path) -> Iterator[Record]:
        """Open a run, yield its record, and send record and `folder` when the block ends.

        What the store does not take, because it is away or full, is kept in `folder`, with a warning.

        Parameters
        ----------
        name : str
            Shown in the MLflow UI.
        params : mapping
            Resolved configuration, flat.
        tags : mapping
            Tags; a run without `UID_TAG` is given one.
        folder : Path
            Whatever lies in it at the end becomes the run's artefacts, after an error too.
        """
        uid = {UID_TAG: uuid.uuid4().hex}
        record = Record(name, {key: str(value) for key, value in params.items()}, {**uid, **tags, **self.own_tags()})
        if self.register and SWEEP_UID_TAG not in tags:
            record.tags[REGISTER_TAG] = self.register
        begun, status = False, "KILLED"  # unless the block ends by itself
        try:
            begun = self.begin(record)
            with self._watched(record, begun=begun):
                yield record
            status = "FINISHED"
        except PrunedError as end:
            record.tags["pruned"] = str(end)
            raise
        except Exception as error:
            status = "FAILED"
            record.tags["error"] = str(error)[:5000]
            raise
        finally:
            record.status = status
            self.end(record, folder, begun=begun)

    @contextmanager
    def _watched(self, record: Record, *, begun: bool) -> Iterator[None]:
        """Send what is told of epochs in the block, and what MLflow sees of the machine where that is asked for."""
        live = Live(record.told, partial(self._send, record) if begun else lambda _: None)
        monitor = None
        if begun and self.system_metrics:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            monitor = SystemMetricsMonitor(record.run_id, SAMPLING, tracking_uri=with_driver(self.uri))
            monitor.start()
        try:
            with told_to(live):
                yield
        finally:
            live.close()
            if monitor:
                monitor.finish()

    def _send(self, record: Record, metrics: list[Metric]) -> None:
        assert record.run_id is not None, "not created"
        with self._locked_client() as client:
            client.log_batch(record.run_id, metrics=metrics)

    def log_now(self, record: Record, numbers: Mapping[str, float], step: int) -> None:
        """Send numbers of a run that has not ended."""
        from mlflow.entities import Metric

        now = now_ms()
        self._send(record, [Metric(grouped(name), value, now, step) for name, value in numbers.items()])

    def own_tags(self) -> dict[str, str]:
        """Return the tags that a user has asked for, a note among them."""
        told = {str(key): str(value) for key, value in self.tags.items()}
        return told | ({NOTE_TAG: self.note} if self.note else {})

    def begin(self, record: Record) -> bool:
        """Open a run in the store with name, tags and params, or open it again; return whether the store has them."""
        record.experiment, record.store = self.experiment, self.uri
        try:
            with self._locked_client() as client:
                create_run(client, self._experiment_id(client), record)
        except Exception as error:  # any store error: the run goes on
            log.warning("%s is unavailable; run not recorded (%s)", self.uri, _brief(error))
            return False
        return True

    def end(self, record: Record, folder: Path, *, begun: bool = True) -> None:
        """Send what the run has come to; keep it in `folder` where that cannot be done."""
        record.ended = now_ms()
        try:
            with self._locked_client() as client:
                if not begun:
                    create_run(client, self._experiment_id(client), record)
                log_results(client, record, folder)
        except Exception as error:
            record.write(folder)
            log.warning(
                "%s did not take the run (%s): it is kept in %s, to be sent by  python -m hiexp.sync",
                *(self.uri, _brief(error), folder),
            )

    def send(self, record: Record, folder: Path) -> None:
        """Send a record that was kept, to the run that was opened for it if there is one here, and delete it.

        The run of a job becomes a child of its sweep's, whatever ids the two had elsewhere.
        """
        known = self.runs({UID_TAG: record.tags[UID_TAG]})
        record.run_id = known[0].info.run_id if known else None
        if SWEEP_UID_TAG in record.tags:
            record.tags.pop(PARENT_TAG, None)
            sweeps = self.runs({UID_TAG: record.tags[SWEEP_UID_TAG]})
            if sweeps:
                record.tags[PARENT_TAG] = sweeps[0].info.run_id
        with self._locked_client() as client:
            create_run(client, self._experiment_id(client), record)
            log_results(client, record, folder)
        (folder / RECORD_FILE).unlink()

    def resend(self, runs: Path) -> list[Path]:
        """Send what was kept for this store below a folder; return the folders whose records are sent.

        What still cannot be sent stays where it is.
        """
        sent = []
        try:
            for _, folder in resend_pending(runs, self.artifacts, only=self.uri):
                sent.append(folder)
        except InputError as error:
            log.warning("%s", error)
        return sent

    def deliver(self, sweep: Path) -> None:
        """Do nothing more at the end of a sweep: its jobs have sent their runs themselves."""

    def is_there(self) -> bool:
        """Return whether there is a store to ask; of a database that is no file only who asks learns that."""
        return self._file is None or self._file.exists()

    def runs(self, tags: Mapping[str, str], status: str | None = None) -> list[Run]:
        """Return the runs of the experiment that have all these tags and this status, the newest first."""
        quotes = {key: '"' if "'" in value else "'" for key, value in tags.items()}  # a folder may have one
        asked = [f"tags.`{key}` = {quotes[key]}{value}{quotes[key]}" for key, value in tags.items()]
        if status is not None:
            asked.append(f"attributes.status = '{status}'")
        with self._locked_client() as client:
            if client.get_experiment_by_name(self.experiment) is None:  # who looks for runs makes none
                return []
            return found_runs(client, [self._experiment_id(client)], " and ".join(asked))

    def find(self, run_id: str) -> Run | None:
        """Return the run of any experiment that has MLflow's id; None where there is none.

        Raises
        ------
        InputError
            If the store cannot be asked.
        """
        from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

        try:
            with self._locked_client() as client:
                return client.get_run(run_id)
        except Exception as error:
            if getattr(error, "error_code", "") == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return None
            raise self._explained(error) from error

    def close(self, run: Run, status: str) -> None:
        """Say how a run ended that could not say so itself."""
        with self._locked_client() as client:
            client.set_terminated(run.info.run_id, status)

    def fetch(self, run: Run, folder: Path) -> None:
        """Copy the artefacts of a run into a folder, its model among them."""
        with self._locked_client() as client:
            client.download_artifacts(run.info.run_id, "", str(folder))
            fetch_model(client, run, folder)

    def register_model(self, uid: str, run_id: str | None, description: str) -> str | None:
        """Register the model of a run; return its name and version, None where it has none.

        Parameters
        ----------
        uid : str
            Its `UID_TAG`.
        run_id : str or None
            MLflow's id of an earlier run that it has been taken over from.
        description : str
            What is said of the version.
        """
        assert self.register is not None, "nobody asked for it"
        with self._locked_client() as client:
            asked = f"tags.`{UID_TAG}` = '{uid}'"
            runs = [client.get_run(run_id)] if run_id else found_runs(client, [self._experiment_id(client)], asked)
            for run in runs:
                version = register(client, self.register, run, description)
                if version is not None:
                    return f"{version.name} version {version.version}"
        return None

    def hint(self, python: str) -> str:
        """Return the command that shows the runs in a browser, and the address; of a server the address alone."""
        server = self.uri if self._is_server else LOCAL_PAGES
        try:
            with self._locked_client() as client:
                server = page(server, self._experiment_id(client))
        except Exception as error:  # it has just been away
            log.debug("%s", error)
        if self._is_server:
            return server
        shown = self.uri if self._file is None else f"{SQLITE}{self._file}"
        return f"{python} -m mlflow ui --backend-store-uri {shlex.quote(with_driver(shown))}\n{'':27}{server}"

    @property
    def libraries(self) -> tuple[str, ...]:
        """Return the modules that the store needs, which take seconds to import."""
        return ("mlflow",) if self._is_server else ("mlflow", "mlflow.store.tracking.sqlalchemy_store")

    @property
    def locks(self) -> bool:
        """Whether processes that write to the store take turns by a lock."""
        return self._file is not None

    @property
    def _file(self) -> Path | None:
        return Path(self.uri.removeprefix(SQLITE)) if self.uri.startswith(SQLITE) else None

    @property
    def _is_server(self) -> bool:
        return not self.uri.startswith((SQLITE, *POSTGRESQL))

    @property
    def _artifacts(self) -> Path:
        return Path(self.artifacts or "mlruns/artifacts").absolute()

    def _explained(self, error: Exception) -> InputError:
        """Return what is wrong with the store, in one line with the cure."""
        if isinstance(error, InputError) or not self._is_server:
            return explained(error, self.uri)
        return InputError(
            f"tracking.uri={self.uri}: no MLflow server answers ({_brief(error)}); start one "
            "(mlflow server --port 5000), or record on this machine with tracking=local"
        )

    @contextmanager
    def _locked_client(self) -> Iterator[MlflowClient]:
        """Yield a client; of processes with a database that is a file one at a time has it, and Ctrl-C waits."""
        # SQLite has one writer, and where two that read want to write next one of them fails at once, however long
        # it would have waited.
        for library in self.libraries:  # before others have to wait
            import_module(library)
        from mlflow import MlflowClient

        # The making of the tables is announced line by line otherwise, and what goes wrong with a traceback.
        logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
        lock = nullcontext() if self._file is None else locked(self._file.with_suffix(".lock"))
        with lock, uninterrupted(), self._reached() as address:
            yield MlflowClient(address)

    @contextmanager
    def _reached(self) -> Iterator[str]:
        """Yield the address of a store that is there, and answers: MLflow would try again and again."""
        if self._is_server:
            place = urlsplit(self.uri)
            port = place.port or (443 if place.scheme == "https" else 80)
            socket.create_connection((place.hostname, port), timeout=CONNECT_SECONDS).close()
            yield self.uri
        elif self._file is not None:
            prepare_sqlite(self._file)
            yield self.uri
        else:
            with connected(self.uri, self._artifacts) as address:
                yield address

    def _experiment_id(self, client: MlflowClient) -> str:
        from mlflow.exceptions import MlflowException

        known = client.get_experiment_by_name(self.experiment)
        if known is not None and known.lifecycle_stage == "deleted":
            raise InputError(
                f"experiment_name={self.experiment}: this experiment was deleted in {self.uri}; bring it back "
                f"(MLFLOW_TRACKING_URI={shlex.quote(with_driver(self.uri))} python -m mlflow experiments restore "
                f"--experiment-id {known.experiment_id}) or choose another name"
            )
        if known is not None and known.artifact_location.startswith(OF_SERVER) and not self._is_server:
            raise InputError(
                f"experiment_name={self.experiment}: a server keeps the files of this experiment of {self.uri}; "
                "reach it through that server (tracking=server tracking.uri=http://HOST:PORT), or choose another name"
            )
        if known is not None:
            for key, value in VIEW.items():
                if key not in known.tags:
                    client.set_experiment_tag(known.experiment_id, key, value)
            return known.experiment_id
        place = None if self._is_server else self._artifacts.as_uri()
        try:
            return client.create_experiment(self.experiment, place, tags=VIEW)
        except MlflowException:  # another process may have been faster
            known = client.get_experiment_by_name(self.experiment)
            if known is None:
                raise
            return known.experiment_id


def create_run(client: MlflowClient, experiment_id: str, record: Record) -> None:
    """Create the record's run, or open it again where it has one, and send its params."""
    from mlflow.entities import Param, RunTag

    if record.run_id is None:
        run = client.create_run(
            experiment_id, start_time=record.started, run_name=record.name, tags=dict(record.tags)
        )
        record.run_id = run.info.run_id
    else:
        client.update_run(record.run_id, status="RUNNING")
        client.log_batch(record.run_id, tags=[RunTag(key, value) for key, value in record.tags.items()])
    rows = [Param(key, value) for key, value in record.params.items()]
    for start in range(0, len(rows), PARAMS_A_CALL):
        client.log_batch(record.run_id, params=rows[start : start + PARAMS_A_CALL])


def log_results(client: MlflowClient, record: Record, folder: Path) -> None:
    """Send metrics, curves and files of a run that has ended; to do so twice changes nothing.

    Of a sweep the files in its folder are sent, but not the folders of its jobs.
    """
    from mlflow.entities import Metric, RunTag

    assert record.run_id is not None, "not created"
    assert record.ended is not None, "not ended"
    metrics = [Metric(grouped(key), value, record.ended, 0) for key, value in record.metrics.items()]
    for key, curve in record.curves.items():
        for epoch, value in enumerate(curve, start=1):
            when, told, sent = record.told.get(key, {}).get(str(epoch), (record.ended, None, False))
            if told != value:  # of another training, or of none that was heard of
                when, sent = record.ended, False
            metrics += [] if sent else [Metric(grouped(key), value, when, epoch)]
    tags = [RunTag(key, record.tags[key]) for key in AT_THE_END if key in record.tags]
    for start in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(record.run_id, metrics=metrics[start : start + METRICS_A_CALL])
    if tags:
        client.log_batch(record.run_id, tags=tags)
    if record.inputs:
        client.log_inputs(record.run_id, dataset_inputs(record.inputs))
    model = folder / MODEL_FOLDER
    if is_model(model):
        run = client.get_run(record.run_id)
        log_model(client, run, model)
    for file in sorted(folder.glob("*") if record.tags.get("kind") == SWEEP else folder.rglob("*")):
        # A link may lead to anything that its maker wanted to have sent.
        if not file.is_file() or file.is_symlink() or file.name in NOT_SENT:
            continue
        if not (is_model(model) and file.is_relative_to(model)):
            place = file.parent.relative_to(folder).as_posix()
            client.log_artifact(record.run_id, str(file), None if place == "." else place)
    client.set_terminated(record.run_id, record.status, end_time=record.ended)
    if is_model(model) and REGISTER_TAG in record.tags:
        try:
            register(client, record.tags[REGISTER_TAG], client.get_run(record.run_id), record.tags["command"])
        except Exception as error:  # the run is there
            log.warning("tracking.register=%s: not registered (%s)", record.tags[REGISTER_TAG], _brief(error))


def resend_pending(
    runs: Path, artifacts: str | None = None, *, uri: str | None = None, only: str | None = None
) -> Iterator[tuple[Record, Path]]:
    """Send the records kept below a folder, sweeps before their jobs; yield each with its folder when it is sent.

    A record that is sent is deleted, and one that was sent and not deleted finds its run again. One that the store
    refuses is set aside as ``record.refused.json``, and files of that name that are something else are left alone;
    both cost a warning.

    Parameters
    ----------
    runs : Path
        A folder of runs.
    artifacts : str or None
        Folder of the artefacts of experiments that have to be made in a database (``mlruns/artifacts``).
    uri : str or None
        Where to, if not to the store that each was meant for.
    only : str or None
        The store for which those were meant that are sent, if not all.

    Raises
    ------
    InputError
        If a store does not answer; what is not sent by then stays.
    """
    if next(runs.rglob(RECORD_FILE), None) is None:  # a lock would be written into a folder with nothing to send
        return
    with locked(runs / ".sync.lock"):
        kept = [(record, folder) for record, folder in _kept(runs) if only in (None, record.store)]
        away = []
        for tracking in {MlflowTracking(uri or record.store, artifacts, record.experiment) for record, _ in kept}:
            meant = [
                (record, folder)
                for record, folder in kept
                if (uri or record.store, record.experiment) == (tracking.uri, tracking.experiment)
            ]
            try:
                yield from _send_all(tracking, meant)
            except InputError as error:  # other stores may answer
                away.append(str(error))
    if away:
        raise InputError("\n".join(away))


def _send_all(tracking: MlflowTracking, kept: list[tuple[Record, Path]]) -> Iterator[tuple[Record, Path]]:
    """Send records to one store, and yield each with its folder when it is sent."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    tracking.prepare()
    for record, folder in kept:
        try:
            tracking.send(record, folder)
        except Exception as error:
            away = isinstance(error, OSError | OperationalError) or (
                isinstance(error, MlflowException) and error.get_http_status_code() >= 500
            )
            if not away:
                (folder / RECORD_FILE).rename(folder / REFUSED_FILE)
                log.warning("%s refuses the run in %s (%s): set aside", tracking.uri, folder, _brief(error))
                continue
            raise InputError(
                f"{tracking.uri} did not take the run in {folder} ({_brief(error)}); it is still there, and "
                "python -m hiexp.sync sends it when the store answers again"
            ) from error
        yield record, folder


def _kept(runs: Path) -> list[tuple[Record, Path]]:
    """Return the records below a folder, sweeps first, and say which files are none."""
    kept, strange = [], []
    for file in sorted(runs.rglob(RECORD_FILE)):
        try:
            kept.append((Record.read(file), file.parent))
        except (OSError, ValueError, RecursionError) as error:
            strange.append(f"{file} ({_brief(error)})")
    if strange:
        log.warning("%d files are no records of runs and are left alone; the first: %s", len(strange), strange[0])
    return sorted(kept, key=lambda pair: (pair[0].tags.get("kind") != SWEEP, pair[0].started))


def _brief(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
