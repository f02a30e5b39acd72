"""The processes of a parallel sweep, which import the libraries while the jobs are still composed."""

from __future__ import annotations

import gc
import os
import pkgutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from joblib import Parallel, delayed, effective_n_jobs
from omegaconf import DictConfig, OmegaConf

from hiexp.sweep.internals import let_process_grow

LAUNCHER = "hydra_plugins.hydra_joblib_launcher"
OF_PROCESSES = ("max_nbytes", "mmap_mode", "temp_folder", "verbose")  # what joblib tells them apart by
PICTURES = ("hiexp.plots.classes", "hiexp.plots.confusion", "hiexp.plots.parameters")
EVERY_JOB = ("hiexp.run.sample", "hiexp.run.outcome", "hiexp.run.model_files", *PICTURES)
AT_THE_END = ("hiexp.sweep.report",)  # by the process that waits for the jobs
MOST_GROWTH = 4_000_000_000  # bytes


def start_workers(
    config: DictConfig, libraries: Sequence[str], swept: Sequence[Override], n_jobs: int | None
) -> threading.Thread | None:
    """Start the processes that Hydra's joblib launcher will give the jobs to; return what waits until they are ready.

    Joblib gives a later call with the same settings the same processes.

    Parameters
    ----------
    config : DictConfig
        Configuration of a sweep, with Hydra's part. Where it has another launcher, or one process, nothing is done.
    libraries : sequence of str
        Modules to import beside those of this package and those that the groups name.
    swept : sequence of Override
        The keys and groups that are swept, with their values.
    n_jobs : int or None
        Number of jobs, if that is known: there are no more processes.
    """
    launcher = config.hydra.launcher
    if not launcher["_target_"].startswith(LAUNCHER):
        return None
    n_workers = effective_n_jobs(launcher.n_jobs)
    n_workers = n_workers if n_jobs is None else min(n_workers, n_jobs)
    if n_workers == 1:
        return None
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars of several processes would overwrite each other
    modules, targets = [*EVERY_JOB, *libraries], list(targets_of(config, swept))
    settings = {key: launcher[key] for key in OF_PROCESSES}
    if str(settings["max_nbytes"]).isdecimal():
        settings["max_nbytes"] = int(settings["max_nbytes"])  # as the launcher does
    cache = config.cache.get("folder")
    trained = bool(cache) and any(Path(cache).glob("training-*"))  # the jobs may find their networks there

    def prepare() -> None:
        with suppress(Exception, KeyboardInterrupt):  # what goes wrong here does so in the jobs, and is told there
            Parallel(n_workers, backend="loky", **settings)(
                delayed(_prepare_worker)(modules, targets, trained) for _ in range(n_workers)
            )
            _import(AT_THE_END)

    waiting = threading.Thread(target=prepare, daemon=True)
    waiting.start()
    return waiting


def targets_of(config: DictConfig, swept: Sequence[Override]) -> Iterator[str]:
    """Yield the ``_target_`` of each group, of one that is swept those of all its members chosen."""
    values = {override.get_key_element(): override for override in swept if override.is_discrete_sweep()}
    for group in config:
        member = None if OmegaConf.is_missing(config, group) else config[group]  # chosen by each job
        if isinstance(member, DictConfig):
            swept_names = values[str(group)].sweep_string_iterator() if group in values else []
            members = [_member(config, str(group), str(name)) for name in swept_names] or [member]
            yield from (one["_target_"] for one in members if "_target_" in one)


def _member(config: DictConfig, group: str, name: str) -> Any:
    """Return a member of a group as its own file has it, without what it inherits."""
    folders = [Path(source.path) for source in config.hydra.runtime.config_sources if source.schema == "file"]
    files = [file for folder in folders if (file := folder / group / f"{name}.yaml").is_file()]
    return OmegaConf.load(files[0]) if files else OmegaConf.create()


def _prepare_worker(modules: Sequence[str], targets: Sequence[str], trained: bool) -> None:
    _import(modules)
    for target in targets:
        found = pkgutil.resolve_name(target)
        if not trained:
            _import(getattr(found, "imported_by_fit", ()))
    let_process_grow(MOST_GROWTH)  # any job needs more than what joblib allows before it replaces a process
    gc.freeze()  # or joblib's look at the memory would first walk over all of it


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        import_module(module)
