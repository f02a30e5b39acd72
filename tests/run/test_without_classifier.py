"""Runs beside the numbers that need no classifier, as the command leaves and shows them."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.commands import train
from helpers.configuration import composed
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline

from hiexp.cache import NoCache
from hiexp.evaluation.metrics import groups_of_width
from hiexp.evaluation.split import Division
from hiexp.labels import Assignment
from hiexp.run.experiment import without_classifier
from hiexp.run.outcome import Part
from hiexp.run.settings import check_settings
from hiexp.run.summary import one_line
from hiexp.spectra import UNKNOWN
from hiexp.spectral.widths import CLASS_LIMITS, asymmetry_class

QUICK = ["fit=none", "feature=asymmetry", "classifier=knn", "evaluation.permutations=20", "tracking=none"]
RULE = "A_flux divided at 1.26 and 1.39, nothing learned"


def held_out(folder):
    table = pd.read_csv(folder / "predictions.csv")
    return table[table["split"] == "test"]


@pytest.mark.slow
def test_folds_stand_beside_their_yardsticks_and_groups_beside_a_tree(tmp_path):
    words = ["dataset.n_galaxies=90", "evaluation=kfold", "evaluation.folds=2", "evaluation.repeats=2"]
    result = train(*QUICK, *words, "labels=cluster", "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    fits = pd.read_parquet(tmp_path / "run" / "fits.parquet").set_index("id")
    test = held_out(tmp_path / "run").query("repeat == 1")
    assert test["yardstick"].tolist() == asymmetry_class(fits.loc[test["id"], "A_flux"].to_numpy()).tolist()
    expected = balanced_accuracy_score(test["reference"], test["yardstick"])
    assert metrics["yardstick_balanced_accuracy"] == pytest.approx(expected)
    for name in ("yardstick", "learned_yardstick"):
        own = metrics["balanced_accuracy"] - metrics[f"{name}_balanced_accuracy"]
        assert metrics[f"balanced_accuracy_minus_{name}"] == pytest.approx(own)
        low, high = (metrics[f"{end}_balanced_accuracy_minus_{name}"] for end in ("low", "high"))
        assert low <= own <= high
        assert 0 < metrics[f"p_balanced_accuracy_minus_{name}"] <= 1
    told = f"balanced accuracy of {metrics['cluster_tree']:.2f} (chance {metrics['chance_cluster_tree']:.2f})"
    assert told in result.stdout
    assert ("nearly all of that is in W50" in result.stdout) == groups_of_width(metrics)
    assert f", yardstick {expected:.3f})" in one_line(metrics)


@pytest.mark.slow
def test_the_screen_shows_them_for_two_classes_divided_midway(tmp_path):
    result = train(*QUICK, "dataset.n_galaxies=120", "n_classes=2", "hydra.run.dir=two", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    metrics = json.loads((tmp_path / "two" / "metrics.json").read_text())
    shown = lines[lines.index(RULE) + 1].split()
    assert shown[:3] == ["balanced", "accuracy", f"{metrics['yardstick_balanced_accuracy']:.3f}"]
    assert "logistic regression of nine measures of asymmetry" in lines
    test = held_out(tmp_path / "two")
    a_flux = pd.read_parquet(tmp_path / "two" / "fits.parquet").set_index("id").loc[test["id"], "A_flux"]
    midway = np.where(a_flux > 1.325, 2, 0)
    assert test["yardstick"].tolist() == midway.tolist()
    assert metrics["yardstick_accuracy"] == pytest.approx((midway == test["reference"]).mean())


@pytest.mark.parametrize(
    ("words", "reference", "w50"),
    [
        (["evaluation.yardstick=null"], np.arange(60) % 3, 200.0),
        ([], None, 200.0),
        ([], np.arange(60) % 3, np.nan),  # series in which no line was looked for
    ],
)
def test_there_are_none_without_a_rule_classes_or_lines(words, reference, w50):
    cfg = composed(*words)
    check_settings(cfg, "train")
    fits = pd.DataFrame({"w50": np.full(60, w50), "A_flux": 1 + 0.2 * (np.arange(60) % 3)})
    profiles = np.exp(-(np.linspace(-3, 3, 50) ** 2)) * np.ones((60, 1))
    assert without_classifier(cfg, NoCache(), profiles, reference, fits, np.arange(40)) == (None, None)


@pytest.mark.parametrize("ruled", [None, np.array([0, UNKNOWN, 2])])
def test_a_table_of_predictions_has_the_class_by_the_rule_where_there_is_one(ruled):
    three = np.arange(3)
    division = Division(train=three[:2], test=three[2:])
    part = Part(division, Assignment(classes=three, training=three[:2]), three, None, Pipeline([("none", None)]))
    table = part.predictions(np.array(["a", "b", "c"]), three, ruled)
    assert table["predicted"].tolist() == [0, 1, 2]
    assert table["yardstick"].isna().tolist() == ([True] * 3 if ruled is None else [False, True, False])


def test_there_are_both_with_all_of_these():
    reference = np.arange(60) % 3
    fits = pd.DataFrame({"w50": np.full(60, 200.0), "A_flux": 1.2 + 0.15 * reference})
    profiles = np.exp(-(np.linspace(-3, 3, 50) ** 2)) * np.ones((60, 1))
    assert tuple(composed().evaluation.yardstick.limits) == CLASS_LIMITS
    ruled, measures = without_classifier(composed(), NoCache(), profiles, reference, fits, np.arange(40))
    assert ruled.tolist() == reference.tolist()
    assert measures.shape == (60, 9)
