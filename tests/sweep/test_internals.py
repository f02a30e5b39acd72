"""What is used of other libraries without their word for it does what it is used for, and stands in one file."""

import ast
import os
import time
from pathlib import Path

import pytest
from helpers.configuration import composed
from hydra.utils import instantiate
from hydra_plugins.hydra_joblib_launcher._core import launch
from joblib.externals.loky import ProcessPoolExecutor

import hydra_plugins.hiexp_sweeper
from hiexp.configs import PACKAGE
from hiexp.sweep.internals import bound_processes, let_process_grow

LIBRARIES = ("hydra", "hydra_plugins", "omegaconf", "joblib", "loky", "pytorch_lightning", "lightning_fabric")


def imported(file):
    """Yield the modules that a file imports, each name with where it comes from."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)


def test_nothing_else_imports_what_is_private():
    private = {
        (file.name, name)
        for file in [*PACKAGE.rglob("*.py"), Path(hydra_plugins.hiexp_sweeper.__file__)]
        for name in imported(file)
        if name.split(".")[0] in LIBRARIES
        if any(part.startswith("_") or part == "externals" for part in name.split("."))
    }
    assert private == {("internals.py", "joblib.externals.loky.process_executor")}


@pytest.mark.parametrize(("asked", "started"), [(64, 2), (1, 1)])
def test_the_launcher_of_processes_is_bound(asked, started):
    config = composed("hydra/launcher=joblib", f"hydra.launcher.n_jobs={asked}", hydra=True)
    launcher = instantiate(config.hydra.launcher)
    bound_processes(launcher, 2)
    assert launcher.joblib["n_jobs"] == started
    assert "joblib" in launch.__code__.co_names  # it is what the launcher reads


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [True, False], ids=["allowed to grow", "by itself"])
def test_joblib_keeps_a_process_that_is_allowed_to_grow(allowed):
    def begin():
        if allowed:
            let_process_grow(4_000_000_000)
        return os.getpid()

    def grow():
        os.kept = bytearray(b"x") * 400_000_000  # beyond the call
        time.sleep(1.1)  # joblib looks once a second

    with ProcessPoolExecutor(max_workers=1) as executor:
        first = executor.submit(begin).result()
        executor.submit(grow).result()
        time.sleep(0.5)  # it looks after the result has been handed in
        assert (executor.submit(os.getpid).result() == first) == allowed
