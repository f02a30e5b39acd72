"""How far a sweep is, as metrics of its run while it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hiexp.run.membership import ENDED, FAILED, RUNNING, counted_states

EVERY = 10.0  # seconds between two looks


@contextmanager
def counted_live(
    folder: Path, n_jobs: int | None, send: Callable[[Mapping[str, float], int], None]
) -> Iterator[None]:
    """Send how many jobs of a sweep are done, failed, running and left whenever it changes, from a thread of its own.

    Parameters
    ----------
    folder : Path
        The sweep's.
    n_jobs : int or None
        Number of jobs, if that is known.
    send : callable
        Takes the numbers and how many jobs have ended to the store; after an error it is not called again.
    """
    over = threading.Event()
    last: Mapping[str, float] = {}

    def tell() -> None:
        nonlocal last
        counts = counted_states(folder)
        ended = sum(counts[state] for state in ENDED)
        now = {
            "n_jobs_done": ended - counts[FAILED],
            "n_jobs_failed": counts[FAILED],
            "n_jobs_running": counts[RUNNING],
        }
        now |= {} if n_jobs is None else {"n_jobs_left": n_jobs - ended - counts[RUNNING]}
        if now != last:
            send(now, ended)
            last = now

    def watch() -> None:
        with suppress(Exception):  # of any store: it is told at the end, or not at all
            while not over.wait(EVERY):
                tell()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(EVERY)
        if last:
            with suppress(Exception):
                tell()
