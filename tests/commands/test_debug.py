"""Trying something before it is run: the presets of +debug, a limit, and what would run."""

import json
import pstats

import pandas as pd
import pytest
from helpers.commands import command, only_run, train
from helpers.configuration import composed

from hiexp.configs import CONFIGS
from hiexp.run.settings import check_settings

RAW_KNN = ["feature=raw", "classifier=knn", "fit=none", "limit=40", "evaluation.permutations=20"]
GRID = ["-m", *RAW_KNN, "test_size=0.3,0.4", "classifier.n_neighbors=1,3"]


def entries(folder):
    return {path for path in folder.rglob("*") if "cache" not in path.parts}


@pytest.mark.parametrize("preset", sorted(file.stem for file in (CONFIGS / "debug").glob("*.yaml")))
def test_every_preset_passes_alone_and_with_a_sweep(preset):
    check_settings(composed(f"+debug={preset}"), "train")
    cfg = composed("+experiment=cnn54", f"+debug={preset}", hydra=True)
    assert (cfg.hydra.mode is None or cfg.hydra.mode.name == "RUN") == (preset != "profile")


@pytest.mark.slow
def test_smoke_is_off_the_record_and_no_run_is_the_latest_by_it(hiexp_train, tmp_path):
    screen = hiexp_train("+debug=smoke", "feature.size=16", "limit=30").stdout
    assert "limit=30: 30 of 318 objects" in screen
    assert screen.splitlines()[-1].endswith("hiexp.train feature.size=16 limit=30")  # what it was a trial of
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "debug", "runs"]
    assert not list(tmp_path.glob("runs/[0-9]*"))
    (metrics,) = tmp_path.glob("debug/*/*/metrics.json")
    assert json.loads(metrics.read_text())["n_train"] <= 21


def test_debug_takes_precedence_wherever_it_is_typed(tmp_path):
    shown = train("+debug=smoke", "+experiment=cnn54", "--cfg", "all", cwd=tmp_path).stdout
    assert "\n  mode: RUN\n" in shown
    assert "\nepochs: 1\n" in shown


@pytest.mark.slow
def test_overfit_learns_by_heart_and_says_that_this_is_no_score(hiexp_train, tmp_path):
    screen = hiexp_train("+debug=overfit", *RAW_KNN[:3], "classifier.n_neighbors=1").stdout
    assert "The objects that it was trained on, scored against the reference classes:" in screen
    assert "These are no scores" in screen
    assert "Test set" not in screen
    (metrics,) = tmp_path.glob("debug/*/*/metrics.json")
    numbers = json.loads(metrics.read_text())
    assert numbers["accuracy"] == 1
    assert numbers["n_test_trained_on"] == numbers["n_train"] == numbers["n_test"]


@pytest.mark.slow
def test_profile_leaves_a_table_and_a_file(tmp_path):
    words = ["+debug=profile", "fit=none", "limit=20", "measurements=none", "tracking=none"]
    result = command("hiexp.fit", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "with what they call" in result.stdout
    assert "hiexp.run.experiment:" in result.stdout
    file = only_run(tmp_path) / "profile.prof"
    assert pstats.Stats(str(file)).total_tt > 0
    assert "profile.prof" in json.loads((file.parent / "run.json").read_text())["files"]


@pytest.mark.slow
def test_a_limited_fit_is_not_taken_for_the_whole(tmp_path):
    quick = ["fit=gaussian", "measurements=none", "tracking=none", "dataset.n_galaxies=20"]
    ids = {}
    for limit in (5, "null", 10):
        result = command("hiexp.fit", *quick, f"limit={limit}", f"hydra.run.dir=of_{limit}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        ids[limit] = set(pd.read_parquet(tmp_path / f"of_{limit}" / "fits.parquet")["id"])
    assert [len(names) for names in ids.values()] == [5, 20, 10]
    assert ids[5] < ids[10] < ids["null"]


@pytest.mark.slow
def test_a_dry_run_lists_the_jobs_and_which_are_done_and_writes_nothing(tmp_path):
    dry = train(*GRID, "dry_run=true", cwd=tmp_path)
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.count("to run\n") == 4
    assert "4 jobs: 0 done, 4 to run. Nothing has been run or written" in dry.stdout
    assert not list(tmp_path.iterdir())

    done = train(*GRID[:-1], "classifier.n_neighbors=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before = entries(tmp_path)
    dry = train(*GRID, "dry_run=true", cwd=tmp_path)
    assert "4 jobs: 2 done, 2 to run" in dry.stdout
    lines = [line.split() for line in dry.stdout.splitlines() if line.startswith("#")]
    assert [line[:3] for line in lines[:2]] == [
        ["#0", "test_size=0.3", "classifier.n_neighbors=1"],
        ["#1", "test_size=0.3", "classifier.n_neighbors=3"],
    ]
    assert [line[3] for line in lines] == ["to", "done", "to", "done"]
    assert lines[1][5].endswith("_sweep/0")
    other = train(*GRID, "dry_run=true", "experiment_name=other", cwd=tmp_path)
    assert "0 done, 4 to run" in other.stdout
    assert entries(tmp_path) == before


@pytest.mark.slow
def test_a_dry_run_of_one_run_ends_before_it_and_another_sweeper_has_no_list(tmp_path):
    dry = train(*RAW_KNN, "dry_run=true", cwd=tmp_path)
    assert dry.returncode == 0, dry.stderr
    assert "To run. Nothing has been run or written (dry_run=true)" in dry.stdout
    refused = train(*GRID, "dry_run=true", "hydra/sweeper=basic", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("dry_run=true: jobs of this sweeper are made while it goes")
    assert not list(tmp_path.iterdir())
