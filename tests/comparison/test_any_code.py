"""A verdict on runs that other code has recorded in MLflow."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers.commands import command

pytestmark = pytest.mark.slow

OTHER_CODE = """
import mlflow, pandas as pd, sys
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

mlflow.set_tracking_uri("sqlite:///other.db")
mlflow.set_experiment("wine")
X, y = load_wine(return_X_y=True)
names = load_wine().target_names
train, test = train_test_split(range(len(y)), test_size=0.5, random_state=0)
for k in (1, 5, 50):
    with mlflow.start_run():
        says = KNeighborsClassifier(k).fit(X[train], y[train]).predict(X[test])
        mlflow.log_param("k", k)
        table = pd.DataFrame({"object": test, "true": names[y[test]], "says": names[says]})
        mlflow.log_table(table, "table.json")
        table.to_csv("table.csv", index=False)
        mlflow.log_artifact("table.csv")
        table.columns = ["id", "reference", "predicted"]
        table.to_parquet("predictions.parquet")
        mlflow.log_artifact("predictions.parquet")
with mlflow.start_run():
    mlflow.log_param("k", 0)
"""
NAMES = ["--columns", "id=object,reference=true,predicted=says"]


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Return a folder with runs of plain scikit-learn."""
    folder = tmp_path_factory.mktemp("other")
    subprocess.run([sys.executable, "-c", OTHER_CODE], cwd=folder, check=True, capture_output=True)
    return folder


def compared(folder, *words):
    return command("hiexp.compare", "--uri", "sqlite:///other.db", "--experiment", "wine", *words, cwd=folder)


def test_runs_of_other_code_are_scored_and_judged(other):
    result = compared(other, "--predictions", "table.json", *NAMES, "--csv", "runs.csv", "--html", "page.html")
    assert result.returncode == 0, result.stderr
    assert "The best of 3 configurations, run" in result.stdout.replace("\n", " ")
    assert "Corrected for selection bias" in result.stdout.replace("\n", " ")
    assert "labels=random" not in result.stdout  # it has no such setting
    runs = pd.read_csv(other / "runs.csv").query("accuracy.notna()")
    assert len(runs) == 3
    # By hand, of the same predictions.
    table = pd.read_csv(other / "table.csv")  # of the last, k = 50
    right = (table["true"] == table["says"]).mean()
    np.testing.assert_allclose(runs.set_index("k")["accuracy"][50], right)
    assert (runs["p_accuracy"] <= 0.01).all()
    assert "The best of 3 configurations" in (other / "page.html").read_text()


@pytest.mark.parametrize("words", [["--predictions", "table.csv", *NAMES], ["--predictions", "predictions.parquet"]])
def test_the_kind_of_table_does_not_matter(other, words):
    asked = compared(other, "--predictions", "table.json", *NAMES)
    result = compared(other, *words)
    assert result.stdout.partition("everything on one page")[0] == asked.stdout.partition("everything on one page")[0]


def test_runs_that_were_chosen_by_their_scores_have_no_verdict(other):
    result = compared(other, "--predictions", "table.json", *NAMES, "accuracy>0.1")
    assert result.returncode == 0, result.stderr
    assert "configurations" not in result.stdout
    assert "configurations" in compared(other, "--predictions", "table.json", *NAMES, "k=1,5").stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('table.loc[0, "says"] = None', "an object has no predicted class"),
        ('table["object"] = 1', "some names in object are there more than once"),
        ("table = table[:0]", "has no rows"),
        ('table["says"] = [f"{row}.5" for row in table.index]', "89 values of says are no reference class"),
    ],
)
def test_one_table_that_is_none_costs_itself_alone(other, change, said):
    code = f"""
import mlflow, pandas as pd
mlflow.set_tracking_uri("sqlite:///other.db")
name = "broken {hash(said)}"
mlflow.set_experiment(name)
for broken in (False, False, True):
    table = pd.read_csv("table.csv")
    if broken:
        {change}
    with mlflow.start_run():
        mlflow.log_param("broken", broken)
        mlflow.log_table(table, "table.json")
print(name)
"""
    made = subprocess.run([sys.executable, "-c", code], cwd=other, check=True, capture_output=True, text=True)
    name = made.stdout.strip().splitlines()[-1]
    words = ["--uri", "sqlite:///other.db", "--experiment", name, "--predictions", "table.json", *NAMES]
    result = command("hiexp.compare", *words, cwd=other)
    assert result.returncode == 0, result.stderr
    assert f"1 run without a part in the verdict: table.json{':' if said[0] != 'h' else ''} {said}" in result.stderr
    assert "The best of 2 configurations" in result.stdout.replace("\n", " ")


def test_what_is_missing_is_said(other):
    result = compared(other, "--predictions", "table.json")
    assert (
        "3 runs without a part in the verdict: table.json has no column id; there are object, true, says"
        in result.stderr
    )
    assert result.stderr.count("--columns id=NAME") == 1
    result = compared(other, "--predictions", "nope.json")
    assert "4 runs without a part in the verdict: there is no nope.json among the artefacts" in result.stderr
    result = compared(other, "--columns", "name=object")
    assert result.returncode == 1
    assert result.stderr.startswith("hiexp.compare: --columns name=object: give id=NAME, reference=NAME")
