"""The metric table: a score is a function and a row, and then stands everywhere."""

import re

import pandas as pd
import pytest
from helpers.commands import command
from mlflow import MlflowClient

from hiexp.evaluation.metrics import METRICS, metric, shown_in

ADDED = """
import runpy
import sys

import numpy as np

from hiexp.evaluation.confusion import recall
from hiexp.evaluation.metrics import METRICS, Metric


def worst_recall(tables):
    return np.nanmin(recall(tables), axis=-1)


METRICS["worst_recall"] = Metric(
    "worst recall", digits=4, unit="of 1", shown=("run", "ranking", "paper"), of_tables=worst_recall
)
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
QUICK = ["dataset.n_galaxies=60", "fit=none", "feature=asymmetry", "evaluation.permutations=20"]


@pytest.mark.slow
def test_a_metric_is_a_function_and_a_row(tmp_path):
    (tmp_path / "with_worst_recall.py").write_text(ADDED)

    def hiexp(module, *words):
        result = command("with_worst_recall", module, *words, cwd=tmp_path, COLUMNS="160")
        assert result.returncode == 0, result.stderr
        return result.stdout

    (row,) = re.findall(
        r"^worst recall +(0\.\d{4}) .*$", hiexp("hiexp.train", *QUICK, "classifier=knn"), re.MULTILINE
    )
    screen = hiexp("hiexp.train", "-m", *QUICK, "classifier=knn,random_forest")
    assert "worst recall (of 1)" in screen
    assert row in screen
    (folder,) = tmp_path.glob("runs/*/*_sweep")
    page = (folder / "sweep.html").read_text()
    assert ">worst recall (of 1)</th>" in page
    assert f"<td>{row}</td>" in page
    ranking = pd.read_csv(folder / "ranking.csv").set_index("classifier")
    value = ranking["worst_recall"]["knn"]
    assert f"{value:.4f}" == row
    assert {"low_worst_recall", "chance_worst_recall", "p_worst_recall"} <= {*ranking.columns}
    hiexp("hiexp.compare", "--latex", "runs.tex", "--csv", "runs.csv")
    latex = (tmp_path / "runs.tex").read_text()
    assert "worst recall & chance & $p$" in latex
    assert f"${row}_" in latex
    assert pd.read_csv(tmp_path / "runs.csv").set_index("classifier")["worst_recall"]["knn"] == value
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    recorded = client.search_runs(["1"], "params.classifier = 'knn'")
    assert value in {run.data.metrics["test/worst_recall"] for run in recorded}
    ranked = hiexp("hiexp.compare", "--sort", "worst_recall")
    assert "highest worst recall first" in ranked


@pytest.mark.parametrize(
    ("name", "greater", "title"),
    [
        ("success_rate", True, "success rate"),
        ("log_loss", False, "log loss"),
        ("p_success_rate", False, "p success rate"),
        ("epsilon2_W50", True, "epsilon2 W50"),
        ("write_seconds", False, "write seconds"),
        ("fit_seconds", False, "fit"),
    ],
)
def test_what_has_no_row_is_read_from_its_name(name, greater, title):
    assert (metric(name).greater_is_better, metric(name).title) == (greater, title)


def test_no_two_columns_of_a_table_share_a_heading():
    for place in ("run", "ranking", "paper", "pairs", "groups", "cost"):
        headings = [shown.column for shown in shown_in(place).values()]
        assert len(set(headings)) == len(headings) > 0
    assert len({shown.title for shown in METRICS.values()}) == len(METRICS)
