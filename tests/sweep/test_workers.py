"""The processes of a parallel sweep start before its jobs are known."""

import os
import sys

import pytest
from helpers.configuration import composed
from hydra.utils import instantiate
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from hiexp.sweep.workers import start_workers


def configuration(*words):
    return composed("classifier=knn", "feature=raw", *words, hydra=True)


def test_jobs_get_processes_that_have_imported_their_libraries(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "")  # so that it is unset again in the end
    monkeypatch.delenv("TQDM_DISABLE")
    two = configuration("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    start_workers(two, instantiate(two.tracking).libraries).join(timeout=120)
    try:
        settings = {"pre_dispatch": "2*n_jobs", "batch_size": "auto", "mmap_mode": "r", "prefer": "processes"}
        jobs = Parallel(n_jobs=2, backend="loky", max_nbytes=None, **settings)
        # What is defined here travels to the process with its code, and imports nothing there.
        seen = jobs(delayed(lambda: (os.getpid(), {*sys.modules}, os.environ["TQDM_DISABLE"]))() for _ in range(8))
    finally:
        get_reusable_executor().shutdown(wait=True)
    assert os.getpid() not in {process for process, _, _ in seen}
    for _, modules, without_bars in seen:
        assert {"hiexp.run.outcome", "sklearn.neighbors", "mlflow.store.tracking.sqlalchemy_store"} <= modules
        assert without_bars == "1"


@pytest.mark.parametrize("words", [["hydra/launcher=basic"], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]])
def test_jobs_that_run_one_by_one_have_no_other_processes(words):
    assert start_workers(configuration(*words), []) is None
