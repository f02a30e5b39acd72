"""Checkpoints of trainings on disk, from which a longer training, or one that was killed, goes on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hiexp.locks import locked

log = logging.getLogger(__name__)

History = dict[str, list[float]]


@dataclass(frozen=True)
class Checkpoint:
    """All that the next epoch depends on beside the settings and the data.

    The random numbers of an epoch depend on the seed and the epoch's number alone, so that there is no random state.

    Attributes
    ----------
    history : dict of list of float
        One value an epoch trained.
    network : dict of Tensor
        Weights of the network.
    best : dict of Tensor
        Weights with the lowest validation loss so far; empty where nothing is validated.
    optimiser : dict of dict of Tensor
        State of the optimiser, by the number of the parameter.
    """

    history: History
    network: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    optimiser: dict[int, dict[str, torch.Tensor]]

    @property
    def epochs(self) -> int:
        """Number of epochs trained."""
        return len(self.history["train_loss"])


def best_epoch(history: History) -> int:
    """Return the index of the epoch with the lowest validation loss."""
    return int(np.argmin(history["validation_loss"]))


def stopped_early(history: History, patience: int | None) -> bool:
    """Return whether the validation loss has not improved for `patience` epochs; never where that is None."""
    if patience is None or not history.get("validation_loss"):
        return False
    return len(history["validation_loss"]) - 1 - best_epoch(history) >= patience


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training, a safetensors file each, named after its number of epochs.

    Parameters
    ----------
    folder : Path
        The training's own folder.
    """

    folder: Path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process train, while others that want the same training wait.

        Raises
        ------
        OSError
            If nothing can be written to the folder.
        """
        with locked(self.folder / ".lock"):
            for left in self.folder.glob(".*"):  # half a checkpoint, of a process that was killed
                if left.name != ".lock":
                    left.unlink()
            os.utime(self.folder)  # it is in use
            yield

    def latest(self, at_most: int) -> Checkpoint | None:
        """Return the checkpoint after the most epochs, but no more than `at_most`; None where there is none."""
        for epochs in sorted((n for n in self._epochs() if n <= at_most), reverse=True):
            file = self._file(epochs)
            try:
                return _read(file)
            except Exception as error:  # any reader error
                log.warning("%s is damaged (%s); the training starts before it", file, error)
                file.unlink()
        return None

    def save(self, checkpoint: Checkpoint, instead_of: int | None = None) -> int:
        """Write a checkpoint, which replaces the one after `instead_of` epochs; return its number of epochs."""
        file = self._file(checkpoint.epochs)
        partial = file.with_name(f".{file.name}.partial")
        history = json.dumps(checkpoint.history)
        tensors = {name: tensor.cpu().contiguous() for name, tensor in _flat(checkpoint).items()}
        save_file(tensors, partial, {"history": history, "digest": _digest(history, tensors)})
        partial.replace(file)
        if instead_of is not None and instead_of != checkpoint.epochs:
            self._file(instead_of).unlink(missing_ok=True)
        return checkpoint.epochs

    def _file(self, epochs: int) -> Path:
        return self.folder / f"epoch-{epochs:06d}.safetensors"

    def _epochs(self) -> Iterator[int]:
        names = (re.fullmatch(r"epoch-(\d+)\.safetensors", file.name) for file in self.folder.iterdir())
        return (int(name[1]) for name in names if name)


def _flat(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Return all tensors under names that say what each belongs to."""
    tensors = {f"network.{name}": value for name, value in checkpoint.network.items()}
    tensors |= {f"best.{name}": value for name, value in checkpoint.best.items()}
    for number, values in checkpoint.optimiser.items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in values.items()}
    return tensors


def _nested(history: History, tensors: dict[str, torch.Tensor]) -> Checkpoint:
    """Return the checkpoint that `_flat` has made these tensors of."""
    parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "best": {}, "optimiser": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    optimiser: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in parts["optimiser"].items():
        number, _, rest = name.partition(".")
        optimiser.setdefault(int(number), {})[rest] = value
    return Checkpoint(history, parts["network"], parts["best"], optimiser)


def _read(file: Path) -> Checkpoint:
    with safe_open(file, "pt") as stored:
        history, digest = stored.metadata()["history"], stored.metadata()["digest"]
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    if digest != _digest(history, tensors):
        raise ValueError("its content is not what was written")
    return _nested(json.loads(history), tensors)


def _digest(history: str, tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(history.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
