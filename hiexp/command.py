"""What the commands share: where their configuration is, how a run is recorded, how failures are told."""

from __future__ import annotations

import functools
import gc
import json
import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hiexp.errors import InputError
from hiexp.sweep import ERROR_FILE, METRICS_FILE

if TYPE_CHECKING:
    from hiexp.tracking import Record

PACKAGE = Path(__file__).parent
# conf/ is inside an installed package and beside the package in a checkout.
CONFIGS = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())

log = logging.getLogger(__name__)


def run_folder() -> Path:
    """Return the folder of this run, or of this job of a sweep."""
    return Path(HydraConfig.get().runtime.output_dir)


def sweeping() -> bool:
    """Return whether this is one job of a sweep."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def refuse_missing(cfg: DictConfig) -> None:
    """Raise an `InputError` that names the first key without a value, if there is one."""
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise InputError(f"{missing[0]} is not set; add {missing[0]}=... to the command")


@contextmanager
def recorded(cfg: DictConfig) -> Iterator[Record]:
    """Record the block with the tracker: its settings first, its metrics and the run's folder at the end.

    The member chosen of each group is recorded beside the settings, because people compare by them.

    Parameters
    ----------
    cfg : DictConfig
        The composed configuration of a command; its ``tracking`` says where to.

    Raises
    ------
    InputError
        If a key has no value.
    """
    from hydra.utils import instantiate

    from hiexp.provenance import flat_parameters, peak_memory_mb, run_tags

    refuse_missing(cfg)
    job, folder = HydraConfig.get(), run_folder()
    OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
    members = {group: member for group, member in job.runtime.choices.items() if not group.startswith("hydra/")}
    name, tags = job.job.override_dirname or "default", run_tags(cfg, f"hiexp.{job.job.name}")
    with instantiate(cfg.tracking).run(name, members | flat_parameters(cfg), tags, folder) as record:
        yield record
        record.metrics["peak_memory_mb"] = peak_memory_mb()
        (folder / METRICS_FILE).write_text(json.dumps(record.metrics, indent=2))


@contextmanager
def stopwatch(metrics: dict[str, float], name: str) -> Iterator[None]:
    """Store the seconds that the block takes."""
    start = time.perf_counter()
    yield
    metrics[name] = time.perf_counter() - start


@functools.cache
def leave_imports_alone() -> None:
    """Keep the garbage collector from what is imported by now.

    Its walk over a million objects of the libraries takes 0.3 s, and the pictures of one job are enough to start it.
    """
    gc.freeze()


@contextmanager
def failures_noted() -> Iterator[None]:
    """Write what goes wrong to the run's ``error.txt``; in a sweep the next job starts all the same."""
    try:
        yield
    except Exception as error:
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        (run_folder() / ERROR_FILE).write_text(f"{reason}\n\n{traceback.format_exc()}")
        if not sweeping():
            raise
        log.error("Failed: %s", reason)


@contextmanager
def input_errors_as_messages() -> Iterator[None]:
    """Turn an `InputError` into what Hydra shows as its message alone, without the traceback."""
    try:
        yield
    except InputError as error:
        raise CompactHydraException(str(error)) from error
