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

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hiexp.locks import locked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """All that the next epoch depends on beside the settings and the data.

    The random numbers of an epoch depend on the seed and the epoch's number alone, so that there is no random state.

    Attributes
    ----------
    history : dict of list of float
        One value an epoch trained.
    tensors : dict of Tensor
        Of the network and of the optimiser.
    """

    history: dict[str, list[float]]
    tensors: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoints:
    """The states of one training, a safetensors file each, named after its number of epochs.

    Parameters
    ----------
    folder : Path
        The training's own.
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
            for left in self.folder.glob(".*"):  # half a state, of a process that was killed
                if left.name != ".lock":
                    left.unlink()
            os.utime(self.folder)  # it is in use
            yield

    def latest(self, at_most: int) -> Checkpoint | None:
        """Return the state after the most epochs, but no more than `at_most`; None where there is none."""
        for epochs in sorted((n for n in self._epochs() if n <= at_most), reverse=True):
            file = self._file(epochs)
            try:
                return _read(file)
            except Exception as error:  # any reader error
                log.warning("%s is damaged (%s); the training starts before it", file, error)
                file.unlink()
        return None

    def save(self, state: Checkpoint, instead_of: int | None = None) -> int:
        """Write a state, which takes the place of the one after `instead_of` epochs; return its number of epochs."""
        epochs = len(state.history["train_loss"])
        file = self._file(epochs)
        partial = file.with_name(f".{file.name}.partial")
        history = json.dumps(state.history)
        tensors = {name: tensor.cpu().contiguous() for name, tensor in state.tensors.items()}
        save_file(tensors, partial, {"history": history, "digest": _digest(history, tensors)})
        partial.replace(file)
        if instead_of is not None and instead_of != epochs:
            self._file(instead_of).unlink(missing_ok=True)
        return epochs

    def _file(self, epochs: int) -> Path:
        return self.folder / f"epoch-{epochs:06d}.safetensors"

    def _epochs(self) -> Iterator[int]:
        names = (re.fullmatch(r"epoch-(\d+)\.safetensors", file.name) for file in self.folder.iterdir())
        return (int(name[1]) for name in names if name)


def _read(file: Path) -> Checkpoint:
    with safe_open(file, "pt") as stored:
        history, digest = stored.metadata()["history"], stored.metadata()["digest"]
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    if digest != _digest(history, tensors):
        raise ValueError("its content is not what was written")
    return Checkpoint(json.loads(history), tensors)


def _digest(history: str, tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(history.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
