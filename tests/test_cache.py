"""Work shared by runs is done once, and never in the stead of other work."""

import json
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from helpers.configuration import composed
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from hiexp.cache import DiskCache, NoCache, fingerprint
from hiexp.datasets import mock_cig
from hiexp.fitting import FitResult, fit_busy
from hiexp.run.experiment import run_experiment
from hiexp.spectra import Spectra


@dataclass
class Number:
    value: float

    def save(self, folder):
        (folder / "number.json").write_text(json.dumps(self.value))

    @classmethod
    def load(cls, folder):
        return cls(json.loads((folder / "number.json").read_text()))


class Counter:
    """Makes a number and remembers how often."""

    def __init__(self, value):
        self.value, self.made = value, 0

    def __call__(self):
        self.made += 1
        return Number(self.value)


def entries(folder):
    return [entry for entry in folder.iterdir() if entry.is_dir()]


def test_a_result_is_made_once_for_the_same_input(tmp_path):
    cache, make = DiskCache(str(tmp_path / "cache")), Counter(3.5)
    given = ({"width": 2}, np.arange(3), None)
    results = [cache.recall("stage", Number, given, make) for _ in range(3)]
    assert [result.value for result in results] == [3.5] * 3
    assert make.made == 1
    cache.recall("stage", Number, ({"width": 3}, np.arange(3), None), make)
    cache.recall("other", Number, given, make)
    assert make.made == 3


def test_without_a_cache_everything_is_made_again():
    make = Counter(1)
    for _ in range(2):
        NoCache().recall("stage", Number, (), make)
    assert make.made == 2


values = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.text("ab.", max_size=3),
    st.lists(st.integers(0, 2), max_size=3),
    st.builds(np.array, st.lists(st.integers(0, 2), min_size=1, max_size=3)),
    st.builds(partial(np.array, dtype=np.float32), st.lists(st.integers(0, 2), min_size=1, max_size=3)),
)


def same(one, other):
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and not isinstance(one, np.ndarray) and one == other


@given(st.lists(values, max_size=3), st.lists(values, max_size=3))
def test_fingerprints_differ_where_the_input_does(one, other):
    alike = len(one) == len(other) and all(map(same, one, other))
    assert (fingerprint(*one) == fingerprint(*other)) == alike


def test_a_configuration_counts_as_what_it_resolves_to():
    cfg = OmegaConf.create({"seed": 1, "stage": {"seed": "${seed}"}})
    assert fingerprint(cfg.stage) == fingerprint({"seed": 1})
    cfg.seed = 2
    assert fingerprint(cfg.stage) == fingerprint({"seed": 2})


def test_a_function_of_the_users_that_changes_is_another_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "profiles_of_mine.py"
    module.write_text("def box(): return 1\n")
    before = fingerprint({"function": "profiles_of_mine.box"})
    module.write_text("def box(): return 2\n")
    assert fingerprint({"function": "profiles_of_mine.box"}) != before


@pytest.mark.parametrize("damage", ["truncate", "remove", "garble the sizes", "leave half-written"])
def test_a_damaged_entry_is_noticed_and_made_again(tmp_path, damage, caplog):
    cache, make = DiskCache(str(tmp_path)), Counter(0.125)
    cache.recall("stage", Number, (1,), make)
    (entry,) = entries(tmp_path)
    file = entry / ("sizes.json" if damage == "garble the sizes" else "number.json")
    if damage == "leave half-written":  # as a kill leaves it
        entry.rename(tmp_path / f".{entry.name}.partial")
    elif damage == "remove":
        file.unlink()
    else:
        file.write_text(file.read_text()[:2])
    assert cache.recall("stage", Number, (1,), make).value == 0.125
    assert make.made == 2
    assert ("damaged" in caplog.text) == (damage != "leave half-written")
    cache.recall("stage", Number, (1,), make)
    assert make.made == 2
    assert len(entries(tmp_path)) == 1


def test_a_result_that_cannot_be_kept_is_not_lost(tmp_path, caplog):
    class Stubborn(Number):
        def save(self, folder):
            raise OSError("no space left on device")

    cache = DiskCache(str(tmp_path))
    assert cache.recall("stage", Stubborn, (), lambda: Stubborn(7)).value == 7
    assert "no space left on device" in caplog.text
    assert entries(tmp_path) == []


def test_a_folder_that_cannot_be_made_costs_a_warning(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file")
    assert DiskCache(str(tmp_path / "cache")).recall("stage", Number, (), Counter(1)).value == 1
    assert "cache=off" in caplog.text


def test_what_is_long_unused_is_removed_once_a_day(tmp_path):
    cache = DiskCache(str(tmp_path), keep_days=30)
    names = ["fit-0123456789abcdef", "training-0123456789abcdef", "asymmetry_posterior-0123456789abcdef"]
    names += ["spectra-0123456789abcdef.npz"]
    left = [".fit-0123456789abcde0.partial", "spectra-0123456789abcdef-77.partial.npz"]
    mine = ["notes-2026.txt", "fit-results", "my.npz"]
    for name in (*names, *left, *mine):
        folder = name.startswith(("fit-0", ".fit", "training", "asymmetry"))
        (tmp_path / name).mkdir() if folder else (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, time.time() - 40 * 86_400))
    used = cache.recall("stage", Number, (1,), Counter(1))
    (entry,) = tmp_path.glob("stage-*")
    assert {file.name for file in tmp_path.iterdir()} == {entry.name, ".tidied", *mine}

    os.utime(entry, (0, time.time() - 40 * 86_400))
    cache.recall("stage", Number, (1,), Counter(2))  # used: it is young again
    os.utime(tmp_path / ".tidied", (0, 0))
    cache.recall("stage", Number, (2,), Counter(3))
    assert entry.exists()
    assert cache.recall("stage", Number, (1,), Counter(4)) == used


def test_a_failure_leaves_no_entry_and_no_lock(tmp_path):
    def fail():
        raise ValueError("no")

    cache = DiskCache(str(tmp_path))
    with pytest.raises(ValueError, match="no"):
        cache.recall("stage", Number, (), fail)
    assert cache.recall("stage", Number, (), Counter(1)).value == 1


def slowly(folder, barrier, results):
    def make():
        time.sleep(0.3)
        with (Path(folder) / "made").open("a") as made:
            made.write("x")
        return Number(1)

    barrier.wait()
    results.put(DiskCache(f"{folder}/cache").recall("stage", Number, (1,), make).value)


@pytest.mark.slow
def test_processes_that_want_the_same_do_it_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    workers = [context.Process(target=slowly, args=(str(tmp_path), barrier, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=300) for _ in workers] == [1, 1, 1]
    for worker in workers:
        worker.join()
    assert (tmp_path / "made").read_text() == "x"


def test_what_is_known_is_read_while_another_process_has_its_turn(tmp_path):
    cache, make = DiskCache(str(tmp_path)), Counter(1)
    cache.recall("stage", Number, (), make)
    (entry,) = tmp_path.glob("stage-*")
    lock = entry.with_name(f".{entry.name}.lock")
    with ThreadPoolExecutor() as pool, FileLock(lock):
        assert pool.submit(cache.recall, "stage", Number, (), make).result(timeout=300).value == 1
    assert make.made == 1


def test_fits_are_read_as_they_were_written(tmp_path):
    spectra = mock_cig(n_galaxies=8)
    written = fit_busy(spectra)
    written.save(tmp_path)
    read = FitResult.load(tmp_path)
    pd.testing.assert_frame_equal(read.table, written.table)
    assert len(read.passes) == len(written.passes) == 2
    for one, other in zip(read.passes, written.passes, strict=True):
        pd.testing.assert_frame_equal(one, other)
    np.testing.assert_array_equal(read.profiles, written.profiles)
    np.testing.assert_array_equal(read.windows, written.windows)
    assert read.parameters == written.parameters


def test_spectra_are_read_as_they_were_written(tmp_path):
    nothing = pd.DataFrame({"name": ["7"], "reason": ["no line"]})
    written = replace(mock_cig(n_galaxies=4), skipped=nothing, held_out=np.array([True, False, True, False]))
    written.save(tmp_path)
    read = Spectra.load(tmp_path)
    for column in fields(Spectra)[:-3]:  # the last say from what sample, and where in it, they are, and in what frame
        one, other = getattr(read, column.name), getattr(written, column.name)
        if isinstance(other, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
        else:
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    read.flux[:] = 0  # in memory alone
    np.testing.assert_array_equal(Spectra.load(tmp_path).flux, written.flux)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.assign(W50=[1.0, 2.5]),
        lambda table: table.rename(columns={"W50": "W20"}),
        lambda table: table.set_axis(["a", "c"]),
        lambda table: table.astype({"W50": "float32"}),
        lambda table: table.iloc[:1],
    ],
)
def test_a_table_counts_with_its_names_and_values(change):
    table = pd.DataFrame({"W50": [1.0, 2.0], "name": ["x", None]}, index=["a", "b"])
    assert fingerprint(table) == fingerprint(table.copy())
    assert fingerprint(change(table)) != fingerprint(table)


@pytest.fixture
def experiment(tmp_path):
    """Run an experiment; return its predictions and the stages whose results were computed."""

    def run(*words, sample=("dataset.n_galaxies=60",)):
        cfg = composed(*sample, f"root={tmp_path}", *words)
        metrics, folder = {}, tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        result = run_experiment(cfg, folder, metrics)
        computed = {name.removesuffix("_seconds") for name in metrics} & {"fit", "labels", "feature"}
        return result.predictions(), computed

    return run


@pytest.mark.slow
def test_what_depends_on_the_fits_alone_is_made_once_and_lies_in_every_folder(experiment, tmp_path, monkeypatch):
    words = ["feature=raw", "classifier=knn", "fit=none"]
    drawn = []
    draw = lambda fit, file: drawn.append(file.write_bytes(b"picture"))  # noqa: E731
    monkeypatch.setattr("hiexp.plots.fits.plot_parameters", draw)
    experiment(*words)
    first = {file.relative_to(tmp_path / "0"): file.read_bytes() for file in sorted((tmp_path / "0").rglob("*.*"))}
    assert {str(name) for name in first} == {
        "catalogue.csv",
        "fits.ecsv",
        "fits.parquet",
        "plots/fits.png",
        "plots/parameters.png",
        "profiles.parquet",
    }
    (tmp_path / "0" / "catalogue.csv").write_text("edited")
    experiment(*words, "test_size=0.5")
    assert len(drawn) == 1
    second = next(file.parent for file in tmp_path.glob("*/fits.ecsv") if file.parent.name != "0")
    for name, content in first.items():
        assert (second / name).read_bytes() == content
    experiment(*words, "dataset.seed=2")
    assert len(drawn) == 2


@pytest.mark.slow
def test_only_a_computed_dataset_is_kept(experiment, tmp_path):
    """One that reads files may find others behind the same settings."""
    words = ["feature=raw", "classifier=knn", "fit=none"]
    experiment(*words)
    assert len(list((tmp_path / "cache").glob("dataset-*"))) == 1
    sample = tmp_path / "sample.npz"
    spectra = mock_cig(n_galaxies=60)
    for scale in (1, 2):
        columns = {name: getattr(spectra, name) for name in ("velocity", "ids", "rms")}
        np.savez(sample, flux=scale * spectra.flux, labels=spectra.reference, **columns)
        assert "fit" in experiment(*words, sample=("dataset=arrays", f"dataset.path={sample}"))[1]
    assert len(list((tmp_path / "cache").glob("dataset-*"))) == 1


@pytest.mark.slow
def test_runs_share_what_they_have_in_common(experiment):
    """Another classifier asks for nothing new, another feature for the feature alone, cache=off for everything."""
    clusters = ["labels=cluster", "labels.fraction=0.8", "feature=raw"]
    first, computed = experiment(*clusters, "classifier=knn")
    assert computed == {"fit", "labels", "feature"}
    assert experiment(*clusters, "classifier=svm")[1] == set()
    images = [*clusters[:2], "feature=image2d", "feature.size=8"]
    assert experiment(*images, "classifier=knn")[1] == {"feature"}
    assert experiment(*images, "classifier=knn", "test_size=0.4")[1] == {"labels"}
    assert experiment(*clusters, "classifier=knn", "seed=1")[1] == {"labels"}  # the rest knows of no seed
    for words, expected in (((), set()), (("cache=off",), {"fit", "labels", "feature"})):
        again, computed = experiment(*clusters, "classifier=knn", *words)
        assert computed == expected
        pd.testing.assert_frame_equal(again, first)
