"""The posterior of the asymmetry as a user asks for it: beside the fits, and as a feature."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from helpers.commands import command, train
from helpers.configuration import composed

from hiexp.run.files import MODEL_FOLDER
from hiexp.run.model_files import load_model

pytestmark = pytest.mark.slow

FEW = ["feature.simulations=500", "fit=none", "tracking=none", "evaluation.permutations=20"]
OTHERS = ["dataset=mock_cig", "dataset.n_galaxies=40", "dataset.seed=9", "tracking=none", "permutations=20"]
ENDS = ("p50", "p16", "p84", "p025", "p975", "above_1_26", "above_1_39")


def test_the_screen_has_the_fractions_and_the_tables_have_the_columns(tmp_path):
    words = ["asymmetry=posterior", "asymmetry.simulations=500", "fit=none", "dataset.n_galaxies=60", "tracking=none"]
    result = command("hiexp.fit", *words, "export=latex,csv,mrt,votable", "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    run = tmp_path / "run"
    metrics = json.loads((run / "metrics.json").read_text())
    table = Table.read(run / "fits.ecsv")
    for end in ENDS:
        assert "without noise" in table[f"A_flux_{end}"].description
        known = table["snr"] < 200  # brighter lines are simulated no more
        assert np.isfinite(table[f"A_flux_{end}"][known]).all()
    assert re.search(r"^Fraction of the sample +noise-free  95 % interval +measured$", result.stdout, re.MULTILINE)
    for limit in ("1.26", "1.39"):
        shown = re.search(
            rf"^A_flux above {limit} +([\d.]+)%  \[(.*)%, (.*)%\] +([\d.]+)%$", result.stdout, re.MULTILINE
        )
        name = f"fraction_A_flux_above_{limit.replace('.', '_')}"
        stored = [metrics[key] for key in (name, f"low_{name}", f"high_{name}", f"measured_{name}")]
        assert [float(number) for number in shown.groups()] == pytest.approx(np.multiply(stored, 100), abs=0.06)
    names = {f"A_flux_{end}" for end in ENDS}
    assert names <= set(pd.read_csv(run / "table.csv"))
    assert names <= set(Table.read(run / "table.vot").colnames)
    assert names <= set(Table.read(run / "table.mrt", format="ascii.mrt").colnames)

    again = command("hiexp.fit", *words, "seed=1", "hydra.run.dir=again", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "Learning" in result.stdout + result.stderr
    assert "Learning" not in again.stdout + again.stderr
    other = Table.read(tmp_path / "again" / "fits.ecsv")
    for name in names:  # the seed is that of the errors of measurements, and not of these
        np.testing.assert_array_equal(other[name], table[name])


def test_a_model_of_the_posterior_predicts_the_classes_of_others(tmp_path):
    words = ["feature=posterior", "classifier=logistic_regression", "dataset.n_galaxies=90"]
    result = train(*FEW, *words, "hydra.run.dir=runs/day/one", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    model = load_model(tmp_path / "runs" / "day" / "one" / MODEL_FOLDER)
    assert model["feature"].measure == "A_flux"
    result = command("hiexp.predict", "run=latest", *OTHERS, "hydra.run.dir=out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "40 of 40 spectra classified" in result.stdout
    assert "Learning" not in result.stdout + result.stderr  # what was learned is in the model
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["accuracy"] > metrics["chance_accuracy"]
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    np.testing.assert_allclose(table.filter(like="probability_").sum(axis=1), 1)


def test_what_data_and_fit_tell_is_a_feature(tmp_path):
    words = ["feature=line", "classifier=gradient_boosting", "dataset.n_galaxies=90", "hydra.run.dir=run"]
    result = train(*FEW[1:], *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    result = command("hiexp.predict", "run=run", *OTHERS, "hydra.run.dir=out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "40 of 40 spectra classified" in result.stdout


def test_the_preset_composes_and_runs(tmp_path):
    shown = train("+experiment=best_asymmetry", "--cfg", "job", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "_target_: hiexp.posterior.asymmetry_posterior" in shown.stdout
    assert composed("+experiment=best_asymmetry").evaluation.repeats == 10
    words = ["+experiment=best_asymmetry", "evaluation.repeats=1", "evaluation.folds=3", "dataset.n_galaxies=90"]
    result = train(*words, *FEW, "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (result.stdout + result.stderr).count("Learning A_flux") == 1  # and not once a fold
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {"balanced_accuracy_minus_yardstick", "low_balanced_accuracy_minus_yardstick"} <= metrics.keys()
    result = command("hiexp.predict", "run=run", *OTHERS, "hydra.run.dir=out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_a_fit_that_measures_no_line_is_told_in_one_line(tmp_path):
    words = ["feature=posterior", "feature.simulations=500", "fit=whole", "classifier=knn", "dataset.n_galaxies=30"]
    result = train(*words, "tracking=none", cwd=tmp_path)
    assert result.returncode == 1
    assert "fit_whole measures 0 of 500 simulated lines" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "Error in call to target" not in result.stdout + result.stderr
