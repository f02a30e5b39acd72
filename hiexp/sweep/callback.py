"""What a sweep does before its first job and after its last, and how its jobs know of it."""

from __future__ import annotations

import atexit
import hashlib
import itertools
import json
import logging
import math
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from hydra.utils import instantiate
from omegaconf import DictConfig, read_write

from hiexp.commandline import words_typed
from hiexp.heartbeat import beating
from hiexp.locks import locked
from hiexp.run.checks import GRID, exit_on_error
from hiexp.run.membership import PROGRESS, Sweep
from hiexp.run.reproduce import sweep_command
from hiexp.run.reuse import DETACHED_TAG, fail_orphaned_runs, work_lock_file
from hiexp.run.summary import display_path, python_command
from hiexp.signals import received
from hiexp.sweep.detached import check_detached, submit_after
from hiexp.sweep.ending import Ending
from hiexp.sweep.grid import check_jobs, jobs_of_grid, sweep_words
from hiexp.sweep.jobs import TOLD_ELSEWHERE
from hiexp.sweep.live import counted_live
from hiexp.tracking.mlflow_store import SWEEP, UID_TAG, Record

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

OF_SEARCH = ("sampler", "study")  # settings of a sweeper that make it another sweep


class WorkerLogFilter(logging.Filter):
    """Let jobs that share the screen say how they ended, and warnings, but not what they are about."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show it."""
        if record.levelno >= logging.WARNING:
            return True
        return parent_process() is None or (record.name == PROGRESS and TOLD_ELSEWHERE not in os.environ)


class SweepCallback(Callback):
    """One run for the whole sweep: opened before the first job, and with ranking and pictures after the last.

    Parameters
    ----------
    paired : str, optional
        A key of the sweep whose values are compared pair by pair, ``feature`` for example.
    """

    def __init__(self, paired: str | None = None) -> None:
        self.paired = paired
        self.lock = ExitStack()

    def __getstate__(self) -> dict[str, object]:
        """Leave everything behind: the copy that goes to another process with a job has nothing to do there."""
        return {}

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        """Make the store and the folder, once, before jobs that may run in parallel; open the sweep's run."""
        if config.get("dry_run"):
            return
        with _exit_on_error():
            self._start(config)

    def _start(self, config: DictConfig) -> None:
        from hiexp.run.provenance import run_tags
        from hiexp.sweep.search import is_search, plan_of
        from hiexp.sweep.workers import start_workers

        loader = GlobalHydra.instance().config_loader()
        plan = plan_of(config, loader) if is_search(config) else None
        self.command = sweep_command(config.hydra)  # before the folder is added to the words
        if config.sweep.detach:
            check_detached(config.hydra.launcher)
        self.tracking = instantiate(config.tracking)
        n_jobs, axes = (plan.n_trials, plan.keys) if plan else _grid(config)
        start_workers(
            config,
            self.tracking.libraries,
            _parsed(_swept(config)),
            min(plan.batch, plan.n_trials) if plan else n_jobs,
        )
        # What cannot be is told before anything is written.
        if plan:
            check_jobs(list(plan.space.samples()), config, loader)
        elif config.hydra.sweeper["_target_"] == GRID:
            check_jobs(jobs_of_grid(_words(config), loader), config, loader)
        self.tracking.prepare()
        # What an earlier sweep has finished without its server is as good as the rest.
        for folder in self.tracking.resend(Path(config.root) / "runs"):
            log.info("Sent what was kept in %s", display_path(folder))
        self.folder = _new_folder(config)
        self.lock.enter_context(beating(self.folder))
        key = _key(config)
        self.record = Record(" ".join(_swept(config)) or SWEEP, tags={"kind": SWEEP, "sweep_hash": key})
        known = self._earlier(work_lock_file(config.root, key)) if self.tracking.reuse else None
        self.record.run_id = known.info.run_id if known else None
        uid = (known.data.tags.get(UID_TAG) if known else None) or uuid.uuid4().hex
        self.record.tags |= run_tags(self.command, self.folder) | {UID_TAG: uid} | self.tracking.own_tags()
        if config.sweep.detach:
            self.record.tags[DETACHED_TAG] = "true"
        fail_orphaned_runs(self.tracking, Path(config.root))
        begun = self.tracking.begin(self.record)
        n_draws = config.get("evaluation", {}).get("permutations")
        self.ending = Ending(self.folder, self.tracking, self.record, begun, config.seed, n_draws, self.paired)
        goes_on = "; an earlier sweep of this command goes on" if known else ""
        log.info(
            "%s %s in %s%s",
            "Some" if n_jobs is None else n_jobs,
            "trials" if plan else "jobs",
            display_path(self.folder),
            goes_on,
        )
        Sweep(uid, self.record.run_id, n_jobs, axes, time.time()).write(self.folder)
        if begun and self.tracking.uri and not config.sweep.detach:
            send = partial(self.tracking.log_now, self.record)
            self.lock.enter_context(counted_live(self.folder, n_jobs, send))
        atexit.register(self._on_abort)

    def _earlier(self, lock: Path) -> Run | None:
        """Return the run of the same sweep, typed earlier, unless it is still going on."""
        try:
            self.lock.enter_context(locked(lock, timeout=0))
        except Timeout:
            return None
        known = self.tracking.runs({"kind": SWEEP, "sweep_hash": self.record.tags["sweep_hash"]})
        return known[0] if known else None

    def _on_abort(self) -> None:
        """Say of a sweep that did not come to its end how it ended."""
        interrupted = received() is not None
        self.ending.abort("KILLED" if interrupted else "FAILED")
        self.lock.close()
        if interrupted:
            log.info("Interrupted; the same command runs what is missing: %s", self.command)

    def on_multirun_end(self, config: DictConfig, **kwargs: object) -> None:
        """Print the ranking and the verdict, write the report, and exit with 1 if a job failed."""
        if sys.exception() is not None or config.get("dry_run"):  # Hydra 1.4 comes here from an error, too
            return
        with _exit_on_error():
            n_failed = self._hand_over(config) if config.sweep.detach else self.ending.finish()
            self.lock.close()
            atexit.unregister(self._on_abort)
        if n_failed:
            sys.exit(1)

    def _hand_over(self, config: DictConfig) -> int:
        """Leave the end of the sweep to a job that the scheduler starts after all others; none of them has failed."""
        name = submit_after(config.hydra.launcher, Sweep.read(self.folder), self.ending)
        log.info(
            "Submitted; job %s ends the sweep after all others. How far it is:  %s -m hiexp.status %s --follow",
            *(name, python_command(), display_path(self.folder)),
        )
        return 0


@contextmanager
def _exit_on_error() -> Iterator[None]:
    """Exit after an error: Hydra turns exceptions raised in a callback into warnings."""
    try:
        with exit_on_error():
            yield
    except Exception:
        log.exception("The sweep could not be recorded:")
        sys.exit(1)


def _new_folder(config: DictConfig) -> Path:
    """Make the folder of a sweep, under another name where there is one of that name, and return it."""
    wanted = folder = Path(config.hydra.sweep.dir)
    for number in itertools.count(2):
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            folder = wanted.with_name(f"{wanted.name}_{number}")
    if folder != wanted:
        with read_write(config.hydra):
            config.hydra.sweep.dir = str(folder)
            # Each job is composed anew, from what was typed.
            escaped = str(folder).replace("'", "\\'")
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{escaped}'")
    return folder


def _words(config: DictConfig) -> list[str]:
    """Return the words of a sweep, those of a preset first, as Hydra's own sweeper takes them."""
    return sweep_words(config.hydra.sweeper.get("params"), words_typed(config.hydra.overrides.task))


def _swept(config: DictConfig) -> list[str]:
    """Return the words that say what is swept."""
    by_key = {override.get_key_element(): override for override in _parsed(_words(config))}
    return [str(override.input_line) for override in by_key.values() if override.is_sweep_override()]


def _parsed(words: list[str]) -> list[Override]:
    loader = GlobalHydra.instance().config_loader()  # which knows what glob(*) stands for
    return OverridesParser.create(config_loader=loader).parse_overrides(words)


def _grid(config: DictConfig) -> tuple[int | None, tuple[str, ...]]:
    """Return how many jobs there will be, if that can be known, and the keys that differ between them."""
    overrides = _parsed(_swept(config))
    axes = tuple(override.get_key_element() for override in overrides)
    if not all(override.is_discrete_sweep() for override in overrides):
        return None, axes
    return math.prod(len(list(override.sweep_string_iterator())) for override in overrides), axes


def _key(config: DictConfig) -> str:
    """Return 12 hexadecimal digits that a sweep typed again has, whatever its launcher, as long as the code is."""
    from hiexp.cache import fingerprint
    from hiexp.run.provenance import is_place

    words = [word for word in words_typed(config.hydra.overrides.task) if not is_place(word.partition("=")[0])]
    asked = [config.hydra.job.name, words, _swept(config), fingerprint()]
    asked += [config.hydra.sweeper[key] for key in OF_SEARCH if config.hydra.sweeper.get(key)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
