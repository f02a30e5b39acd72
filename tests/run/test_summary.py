"""What the screen suggests and leaves out where there is little to go by."""

import os
import stat

import numpy as np
import pandas as pd
import pytest
from helpers.commands import command, train
from hydra import compose, initialize_config_dir

from hiexp.configs import CONFIGS
from hiexp.evaluation.scores import score
from hiexp.fitting import FitResult
from hiexp.hydra_versions import VERSION_BASE
from hiexp.run.summary import _asymmetric_fractions, _next_sweep


def test_an_interval_of_nothing_but_right_answers_is_that_of_the_binomial_distribution():
    truth = np.array([0, 1, 2])
    numbers = score(truth, truth, n_draws=100, seed=0).metrics()
    assert numbers["accuracy"] == numbers["high_accuracy"] == 1
    assert round(numbers["low_accuracy"], 3) == 0.292  # 0.025 ** (1 / 3)
    assert "low_balanced_accuracy" not in numbers
    many = np.arange(300) % 3
    assert score(many, many, n_draws=100, seed=0).metrics()["low_success_rate"] > 0.98


@pytest.mark.slow
def test_the_next_command_fits_the_sample(tmp_path):
    few = command("hiexp.fit", "dataset.n_galaxies=12", "fit=none", "tracking=none", cwd=tmp_path)
    assert "-m hiexp.fit -m dataset.n_galaxies=12 tracking=none fit=busy,gaussian,double_lorentzian" in few.stdout
    more = command("hiexp.fit", "dataset.n_galaxies=40", "fit=none", "tracking=none", cwd=tmp_path)
    assert "feature=asymmetry classifier=random_forest" in more.stdout


@pytest.mark.slow
def test_the_next_command_keeps_no_word_that_it_makes_pointless(tmp_path):
    """And a scheduler's command on the path is no reason to speak of it."""
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text("#!/bin/sh\n")
    srun.chmod(srun.stat().st_mode | stat.S_IXUSR)
    words = ["dataset.n_galaxies=60", "fit=none", "feature.size=16", "epochs=1", "model.filters=[4]", "tracking=none"]
    result = train(*words, cwd=tmp_path, PATH=f"{srun.parent}:{os.environ['PATH']}")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("try next")]
    assert "model=simple,medium,complex" in line
    assert "filters" not in line
    assert "epochs=1" in line
    assert "srun" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("words", "suggested", "pointless"),
    [
        (["labels=cluster", "clusterer=kmeans"], "n_classes=2,3,4,5", "clusterer="),
        (["labels=cluster", "clusterer=hdbscan"], "clusterer=kmeans,gaussian_mixture,spectral", "n_classes="),
        (["classifier=cnn"], "test_size=0.3,0.5,0.7", None),
        (["classifier=cnn", "evaluation=kfold"], "model=simple,medium,complex", "test_size="),
        (["classifier=cnn", "evaluation.split=given"], "model=simple,medium,complex", "test_size="),
    ],
)
def test_what_no_stage_reads_is_not_suggested(words, suggested, pointless):
    with initialize_config_dir(str(CONFIGS), **VERSION_BASE):
        cfg = compose("train", overrides=words, return_hydra_config=True)
    suggestion = " ".join(_next_sweep(cfg, cfg.hydra))
    assert suggested in suggestion
    assert pointless is None or pointless not in suggestion


@pytest.mark.slow
def test_series_without_units_have_no_flux_in_jy(tmp_path):
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 2
    np.savez(tmp_path / "series.npz", X=rng.normal(size=(60, 40)) + classes[:, None], y=classes)
    words = ["dataset=arrays", "dataset.path=series.npz", "fit=whole", "feature=raw", "classifier=knn", "n_classes=2"]
    result = train(*words, "tracking=none", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "HIflux" not in result.stdout


def test_fractions_of_the_sample_stand_below_their_heads():
    """A measure keeps its name, whatever it has of underscores, and a limit its point."""
    sample = {"n_mine": 3.0}
    for name, value in {"A_flux_above_1_26": 0.123, "peak_ratio_above_2": 0.0, "residual_above_0_05": 1.0}.items():
        sample |= {f"fraction_{name}": value, f"low_fraction_{name}": 0.0, f"high_fraction_{name}": 1.0}
        sample[f"measured_fraction_{name}"] = 0.25
    fit = FitResult(pd.DataFrame({"status": []}), np.zeros((0, 2)), np.zeros((0, 2)), sample=sample)
    _, heading, *lines = _asymmetric_fractions(fit)
    assert [line[:26].strip() for line in lines] == ["A_flux above 1.26", "peak_ratio above 2", "residual above 0.05"]
    assert [line.split()[3] for line in lines] == ["12.3%", "0.0%", "100.0%"]
    assert len({len(line) for line in (heading, *lines)}) == 1
    assert all("[0.0%, 100.0%]" in line for line in lines)
    assert lines[0].index("12.3%") + len("12.3%") == heading.index("noise-free") + len("noise-free")
    assert lines[0].index("[") == heading.index("95 %")
    assert _asymmetric_fractions(FitResult(fit.table, fit.profiles, fit.windows)) == []


@pytest.mark.slow
def test_a_training_is_not_told_what_only_fits_have(tmp_path):
    words = ["dataset.n_galaxies=40", "fit=none", "tracking=none"]
    result = command("hiexp.fit", *words, "export=csv", "ids=null", cwd=tmp_path)
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("try next")]
    assert "hiexp.train dataset.n_galaxies=40 fit=none tracking=none n_classes=3" in line
    assert "export" not in line
    assert "ids" not in line
