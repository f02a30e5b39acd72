"""The processes of a parallel sweep, which import the libraries while the jobs are still composed."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky import process_executor
from omegaconf import DictConfig, OmegaConf

LAUNCHER = "hydra_plugins.hydra_joblib_launcher"
EVERY_JOB = ("hiexp.run.outcome", "hiexp.run.model_files")
AT_THE_END = ("hiexp.evaluation", "hiexp.plots", "hiexp.comparison.html")  # by the process that waits for the jobs
MOST_GROWTH = 4_000_000_000  # bytes


def start_workers(config: DictConfig, libraries: Sequence[str]) -> threading.Thread | None:
    """Start the processes that Hydra's joblib launcher will give the jobs to; return what waits until they are ready.

    Joblib gives a later call with the same settings the same processes.

    Parameters
    ----------
    config : DictConfig
        Of a sweep, with Hydra's own part. Where it has another launcher, or one process, nothing is done.
    libraries : sequence of str
        Modules to import beside those of this package and those that the groups name.
    """
    launcher = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    if not launcher.pop("_target_").startswith(LAUNCHER):
        return None
    from hydra_plugins.hydra_joblib_launcher._core import process_joblib_cfg

    process_joblib_cfg(launcher)
    n_workers = effective_n_jobs(launcher["n_jobs"])
    if n_workers == 1:
        return None
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars of several processes would overwrite each other
    targets = [group.get("_target_", "") for group in config.values() if isinstance(group, DictConfig)]
    modules = [*EVERY_JOB, *libraries, *(target.rpartition(".")[0] for target in targets if target)]

    def prepare() -> None:
        with suppress(Exception, KeyboardInterrupt):  # what goes wrong here does so in the jobs, and is told there
            Parallel(**launcher | {"backend": "loky"})(delayed(_prepare_worker)(modules) for _ in range(n_workers))
            _import(AT_THE_END)

    waiting = threading.Thread(target=prepare, daemon=True)
    waiting.start()
    return waiting


def _prepare_worker(modules: Sequence[str]) -> None:
    # A worker is replaced when it has grown by 300 MB since its first call, which is this one: any job would do that.
    process_executor._MAX_MEMORY_LEAK_SIZE = MOST_GROWTH
    _import(modules)
    gc.freeze()  # or joblib's look at the memory would first walk over all of it


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        import_module(module)
