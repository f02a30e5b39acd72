"""What the commands share: how they show what a user can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

from hiexp.errors import InputError


def refuse_missing(cfg: DictConfig) -> None:
    """Raise an `InputError` that names the first key without a value, if there is one."""
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise InputError(f"{missing[0]} is not set; add {missing[0]}=... to the command")


@contextmanager
def input_errors_as_messages() -> Iterator[None]:
    """Turn an `InputError` into what Hydra shows as its message alone, without the traceback."""
    try:
        yield
    except InputError as error:
        raise CompactHydraException(str(error)) from error
