"""Work on a sample, batch by batch, in as many processes as pay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

BATCH = {"cpu": 1024, "cuda": 16384}  # spectra worked on at a time, which bounds the memory
SHARED = 6  # batches from which on it pays to start further processes, which takes seconds

T = TypeVar("T")


def in_order(work: Callable[..., T], batches: Iterable[tuple], n_batches: int, device: str = "cpu") -> Iterator[T]:
    """Yield what comes of each batch in order, from as many processes as torch may use threads where that pays.

    The operations are many and small: threads would wait for each other's turn with the interpreter.

    Parameters
    ----------
    work : callable
        Takes the values of a batch.
    batches : iterable of tuple
        Made when one is wanted.
    n_batches : int
        Their number.
    device : {"cpu", "cuda"}
        Where they are worked on; processes would only wait for each other's turn with one graphics processor.
    """
    import torch  # both take long, and settings are checked without them
    from joblib import Parallel, delayed

    workers = torch.get_num_threads()
    if device == "cpu" and workers > 1 and n_batches >= SHARED:
        pool = Parallel(workers, return_as="generator", max_nbytes=None)
        yield from pool(delayed(work)(*batch) for batch in batches)
        return
    try:
        torch.set_num_threads(1)
        for batch in batches:
            yield work(*batch)
    finally:
        torch.set_num_threads(workers)
