"""A sample that is fitted in shards: the same numbers, nothing computed twice, whoever computes them."""

import re
import signal

import pandas as pd
import pytest
from helpers.commands import command
from helpers.configuration import composed

from hiexp import cache
from hiexp.run.experiment import fitted_sample

pytestmark = pytest.mark.slow
SAMPLE = ["dataset=mock_alfalfa", "dataset.n_galaxies=2100", "fit=gaussian", "fit.realisations=2", "tracking=none"]

# A fit of a user, which dies once, at the second shard.
OWN = """
import os
import signal
import time
from pathlib import Path

from hiexp.fitting import fit_function


def fit(spectra, **settings):
    with open("shards.txt", "a") as note:
        note.write(f"{spectra.first}\\n")
    if spectra.first and not Path("go").exists():
        Path("go").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return fit_function(spectra, **settings)
"""


def fit(*words, cwd):
    result = command("hiexp.fit", *SAMPLE, *words, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_shards_on_dask_give_the_numbers_of_one_piece_to_the_bit(tmp_path):
    fit("hydra.run.dir=whole", "cache.folder=one", cwd=tmp_path)
    screen = fit("hydra.run.dir=parts", "cache.folder=other", "shards=3", "hydra/launcher=dask", cwd=tmp_path)
    for stage in ("fit", "measurements"):
        assert f"{stage}: 3 shards of 1024 spectra, 0 of them done already" in screen
        assert f"{stage}: 3 of 3 shards done" in screen
    for name in ("fits.ecsv", "fits.parquet", "catalogue.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    assert not list((tmp_path / "other").glob("*_shard-*"))  # kept as a whole


@pytest.mark.parametrize("launcher", ["basic", "dask"])
def test_what_a_dead_process_has_left_undone_is_done_by_the_same_command(tmp_path, launcher):
    (tmp_path / "own.py").write_text(OWN)
    words = ["fit._target_=own.fit", "shards=3", "measurements=none", f"hydra/launcher={launcher}"]
    words += ["hydra.launcher.executor.cluster.n_workers=1"] if launcher == "dask" else []
    first = command("hiexp.fit", *SAMPLE, *words, cwd=tmp_path)
    assert first.returncode == (1 if launcher == "dask" else -signal.SIGKILL)
    n_done = 1
    if launcher == "dask":  # one that only waits at the same worker may be lost with it
        lost = re.search(r"fit: ([12]) of 3 shards lost \(KilledWorker.*the same command computes", first.stderr)
        assert lost, first.stderr
        n_done = 3 - int(lost[1])
    assert f"fit: 3 shards of 1024 spectra, {n_done} of them done already" in fit(*words, cwd=tmp_path)
    begun = (tmp_path / "shards.txt").read_text().split()
    assert begun.count("0") == 1
    assert begun.count("1024") == 2
    assert begun.count("2048") == 1


def test_without_room_for_shards_the_sample_is_fitted_in_one_piece(tmp_path, monkeypatch):
    words = ["dataset=mock_alfalfa", "dataset.n_galaxies=2100", "fit=none", "measurements=none", f"root={tmp_path}"]
    _, whole = fitted_sample(composed(*words, "cache=off", command="fit"), tmp_path / "whole", {})

    def no_room(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(cache, "_write", no_room)
    _, parts = fitted_sample(composed(*words, "shards=3", command="fit"), tmp_path / "parts", {})
    pd.testing.assert_frame_equal(whole.table, parts.table)
