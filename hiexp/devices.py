"""Where torch computes, and with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hiexp.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import; who asks for a device waits for it
    import torch


def torch_device(name: str) -> torch.device:
    """Return the device that `name` (cpu, cuda or auto) stands for on this machine.

    Raises
    ------
    InputError
        If it is another name, or cuda where torch sees no GPU.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise InputError(f"device={name}: use cpu, cuda or auto")
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: torch sees no CUDA device on this machine; use device=cpu, or device=auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch and linear algebra to one thread, where a step is over before a second one has started."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its Fourier transforms have threads that threadpoolctl does not know of
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
