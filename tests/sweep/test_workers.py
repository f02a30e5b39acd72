"""The processes of a parallel sweep start before its jobs are known."""

import os
import sys

import pytest
from helpers.configuration import composed
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from hiexp.sweep.workers import start_workers, targets_of

NETWORKS = {"hiexp.classifiers.cnn.training", "pytorch_lightning"}


@pytest.fixture
def jobs_of_sweep(monkeypatch):
    """Return what starts processes for a sweep, and then returns process, modules and TQDM_DISABLE of eight jobs."""
    monkeypatch.setenv("TQDM_DISABLE", "")  # so that it is unset again in the end
    monkeypatch.delenv("TQDM_DISABLE")

    def start(*words, swept):
        two = composed("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *words, hydra=True)
        overrides = OverridesParser.create().parse_overrides(swept)
        start_workers(two, instantiate(two.tracking).libraries, overrides, 8).join(timeout=120)
        settings = {"pre_dispatch": "2*n_jobs", "batch_size": "auto", "mmap_mode": "r", "prefer": "processes"}
        jobs = Parallel(n_jobs=2, backend="loky", max_nbytes=None, **settings)
        # What is defined here travels to the process with its code, and imports nothing there.
        return jobs(delayed(lambda: (os.getpid(), {*sys.modules}, os.environ["TQDM_DISABLE"]))() for _ in range(8))

    yield start
    get_reusable_executor().shutdown(wait=True)


@pytest.mark.slow
def test_jobs_get_processes_that_have_imported_their_libraries(jobs_of_sweep, tmp_path):
    root, networks = f"root={tmp_path}", ["model=simple,medium"]
    seen = jobs_of_sweep(root, swept=["classifier=knn,svm"])  # in the place of the default, which is a network
    assert os.getpid() not in {process for process, _, _ in seen}
    for _, modules, without_bars in seen:
        assert {"hiexp.run.outcome", "sklearn.neighbors", "mlflow.store.tracking.sqlalchemy_store"} <= modules
        assert not NETWORKS & modules
        assert without_bars == "1"
    # Joblib gives the next sweep the same processes.
    trained = tmp_path / "cache" / "training-0123456789abcdef"
    trained.mkdir(parents=True)  # the networks may be there
    assert not any(NETWORKS & modules for _, modules, _ in jobs_of_sweep(root, swept=networks))
    trained.rmdir()
    assert all(modules >= NETWORKS for _, modules, _ in jobs_of_sweep(root, swept=networks))


@pytest.mark.parametrize(
    ("swept", "classifiers"),
    [
        (["test_size=0.3,0.5", "model=simple,medium"], {"hiexp.classifiers.CNNClassifier"}),
        (["classifier=svm,cnn"], {"sklearn.svm.SVC", "hiexp.classifiers.CNNClassifier"}),
        (["classifier=knn,my_own"], {"sklearn.neighbors.KNeighborsClassifier", "my_package.MyOwn"}),
    ],
    ids=["not swept", "swept", "of one's own"],
)
def test_of_a_group_that_is_swept_each_member_chosen_is_prepared_for(tmp_path, swept, classifiers):
    (tmp_path / "classifier").mkdir()
    (tmp_path / "classifier" / "my_own.yaml").write_text("_target_: my_package.MyOwn\n")
    config = composed(f"hydra.searchpath=[file://{tmp_path}]", hydra=True)
    others = {
        config[group]["_target_"]
        for group in ("dataset", "fit", "feature", "labels", "clusterer", "model", "trainer")
    }
    others |= {config[group]["_target_"] for group in ("cache", "tracking")}
    targets = {*targets_of(config, OverridesParser.create().parse_overrides(swept))}
    assert targets - others == classifiers
    assert others <= targets


@pytest.mark.parametrize("words", [["hydra/launcher=basic"], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]])
def test_jobs_that_run_one_by_one_have_no_other_processes(words):
    assert start_workers(composed(*words, hydra=True), [], [], 8) is None


def test_one_job_has_no_other_process():
    config = composed("hydra/launcher=joblib", "hydra.launcher.n_jobs=3", hydra=True)
    assert start_workers(config, [], [], 1) is None
