"""Which of the libraries that take long to import a command waits for."""

import re
import subprocess
import sys

import pytest

LEARNING = {"sklearn", "torch", "pytorch_lightning", "lightning_fabric", "numba", "skops", "tslearn", "keras"}
TRACKING = {"mlflow", "sqlalchemy", "alembic"}
HEAVY = LEARNING | TRACKING | {"astropy", "dask", "matplotlib", "pandas", "pyarrow", "scipy"}
SAMPLE = ["dataset.n_galaxies=60", "feature=raw"]
KNN = ["train", "classifier=knn", *SAMPLE]


def imported(folder, command, *words):
    """Return the packages that a command has imported by its end."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"hiexp.{command}", *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout
    packages = set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\w+)", ended.stderr, re.MULTILINE))
    assert "hydra" in packages
    return packages


@pytest.fixture(scope="module")
def worked_in(tmp_path_factory):
    """Return a folder with a run, a sweep, a store, and a cache that has sample, fits and features."""
    folder = tmp_path_factory.mktemp("starts")
    for words in (KNN, ["train", "-m", *KNN[1:]], ["fit", *SAMPLE[:1]]):
        imported(folder, *words)
    return folder


@pytest.mark.parametrize("command", ["train", "fit", "predict", "compare", "status", "sync", "download"])
def test_help_waits_for_no_heavy_library(tmp_path, command):
    assert not imported(tmp_path, command, "--help") & HEAVY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "used"),
    [
        (KNN, HEAVY - LEARNING - {"astropy", "dask"} | {"sklearn"}),
        ([*KNN, "tracking=none"], {"sklearn", "matplotlib", "pandas", "pyarrow", "scipy"}),
        (["fit", *SAMPLE[:1]], TRACKING | {"pandas", "pyarrow", "scipy"}),
        (["compare"], {"pandas", "pyarrow"}),
        (["status"], set()),
        (["sync"], TRACKING | {"pandas", "pyarrow", "scipy"}),
    ],
    ids=["train", "train without tracking", "fit", "compare", "status", "sync"],
)
def test_a_command_waits_for_no_library_that_it_does_not_use(worked_in, words, used):
    """Sample, fits and features are in the cache."""
    assert imported(worked_in, *words) & HEAVY <= used
