"""What hiexp needs of other libraries and they have no public way for; all of it stands here.

hydra-joblib-launcher 1.2.0 and 1.4.0rc3
    ``JoblibLauncher.joblib``, the arguments of its `joblib.Parallel`.
joblib 1.6.0 (with loky 3.6.0)
    ``joblib.externals.loky.process_executor._MAX_MEMORY_LEAK_SIZE``, the bytes by which a process may grow.
"""

from __future__ import annotations

from hydra.plugins.launcher import Launcher


def bound_processes(launcher: Launcher, most: int) -> None:
    """Have a launcher of processes start at most so many; Hydra 1.4 takes no other setting once a sweep has begun."""
    if hasattr(launcher, "joblib"):
        from joblib import effective_n_jobs

        launcher.joblib["n_jobs"] = min(effective_n_jobs(launcher.joblib["n_jobs"]), most)


def let_process_grow(most: int) -> None:
    """Have joblib keep this process of its own until it has grown by `most` bytes since its first call, not 300 MB.

    Raises
    ------
    ImportError, AttributeError
        If joblib has moved the limit.
    """
    from joblib.externals.loky import process_executor

    if not hasattr(process_executor, "_MAX_MEMORY_LEAK_SIZE"):
        raise AttributeError("joblib has moved _MAX_MEMORY_LEAK_SIZE")
    process_executor._MAX_MEMORY_LEAK_SIZE = most
