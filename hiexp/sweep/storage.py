"""What the process of a search and those of its trials need of Optuna alike: its database, and what stops a trial."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.errors import InputError
from hiexp.locks import locked
from hiexp.tracking.credentials import redacted, take_credentials
from hiexp.tracking.database import SQLITE, with_driver

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.storages import RDBStorage

BUSY_SECONDS = 60  # that a process waits while another writes the same SQLite file


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Hold back Optuna's word on each trial, which is told here, and on what may change in its next version."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def opened_storage(uri: str) -> RDBStorage:
    """Return the database of studies.

    Raises
    ------
    InputError
        If it cannot be used.
    """
    from optuna.storages import RDBStorage

    uri = take_credentials(uri)
    making: AbstractContextManager[None] = nullcontext()
    try:
        if uri.startswith(SQLITE):
            file = Path(uri.removeprefix(SQLITE))
            file.parent.mkdir(parents=True, exist_ok=True)
            making = locked(file.with_name(f".{file.name}.lock"), timeout=BUSY_SECONDS)
        with making:  # two that make the tables at once would be in each other's way
            return RDBStorage(
                with_driver(uri),
                engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}} if uri.startswith(SQLITE) else None,
            )
    except Exception as error:  # of any driver
        raise InputError(
            f"hydra.sweeper.storage={redacted(uri)}: {redacted(str(error).partition(chr(10))[0])}; give "
            "sqlite:///FILE on a disk with locks, or postgresql://HOST:PORT/DATABASE"
        ) from error


def pruner_of(name: str, warmup_epochs: int) -> BasePruner:
    """Return what stops trials that others have left behind."""
    from optuna import pruners

    match name:
        case "median":
            return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup_epochs)
        case "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=max(warmup_epochs, 1))
        case "hyperband":
            return pruners.HyperbandPruner(min_resource=max(warmup_epochs, 1))
    return pruners.NopPruner()
