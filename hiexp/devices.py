"""Where torch computes."""

from __future__ import annotations

import torch

from hiexp.errors import InputError


def torch_device(name: str) -> torch.device:
    """Return the device that `name` (cpu, cuda or auto) stands for on this machine.

    Raises
    ------
    InputError
        If it is another name, or cuda where torch sees no GPU.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise InputError(f"device={name}: use cpu, cuda or auto")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: torch sees no CUDA device on this machine; use device=cpu, or device=auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
