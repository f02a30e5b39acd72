"""``python -m hiexp.predict`` as a user types it: in an empty folder, in a process of its own."""

import json
import shlex
import shutil

import pandas as pd
import pytest
import yaml
from helpers.commands import command, train
from helpers.configuration import composed
from helpers.trained import learned, write_run
from mlflow import MlflowClient

from hiexp.configs import CONFIGS
from hiexp.run.provenance import config_hash, work_key

OTHERS = ["dataset=mock_cig", "dataset.n_galaxies=40", "dataset.seed=9"]


def predict(*words, cwd):
    return command("hiexp.predict", *words, cwd=cwd)


def records(folder):
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    return client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])


@pytest.mark.slow
def test_a_trained_run_is_applied_written_and_recorded(tmp_path):
    words = ["dataset.n_galaxies=90", "fit=none", "feature=asymmetry", "classifier=knn", "hydra.run.dir=runs/day/one"]
    assert train(*words, cwd=tmp_path).returncode == 0
    result = predict("run=latest", *OTHERS, "hydra.run.dir=out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    out, one = tmp_path / "out", tmp_path / "runs" / "day" / "one"
    files = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file() and ".hydra" not in file.parts}
    assert files == {
        *("catalogue.csv", "config.yaml", "predict.log", "fits.ecsv", "fits.parquet", "metrics.json", "run.json"),
        *("profiles.parquet", "provenance.json"),
        *("predictions.csv", "dependence.csv", "parameters_by_class.csv", "trained.json"),
        *(
            f"plots/{name}.{form}"
            for name in ("fits", "parameters", "classes", "parameters_by_class", "confusion")
            for form in ("png", "pdf")
        ),
    }
    table = pd.read_csv(out / "predictions.csv")
    assert len(table) == 40
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx((table["predicted"] == table["reference"]).mean())
    assert metrics["n_unlike"] == table["unlike_training"].notna().sum()
    assert metrics["yardstick_accuracy"] == pytest.approx((table["yardstick"] == table["reference"]).mean())
    assert "A_flux divided at 1.26 and 1.39, nothing learned" in result.stdout
    assert "40 of 40 spectra classified" in result.stdout
    assert "40 objects, scored against the reference classes" in result.stdout

    made, parent = records(tmp_path)
    assert made.data.metrics["yardstick/accuracy_minus_yardstick"] == metrics["accuracy_minus_yardstick"]
    uid = json.loads((one / "run.json").read_text())["uid"]
    tags = made.data.tags
    assert (tags["trained.uid"], tags["trained.run_id"]) == (uid, parent.info.run_id)
    assert tags["mlflow.source.name"] == "hiexp.predict"
    assert json.loads((out / "trained.json").read_text())["uid"] == uid
    named = yaml.safe_load((out / "config.yaml").read_text())["run"]
    assert named == made.data.params["run"] == tags["trained.folder"] == str(one)
    assert f"run={named}" in shlex.split(tags["command"])

    follows = next(line for line in result.stdout.splitlines() if line.startswith("try next:"))
    words = shlex.split(follows.partition(" -m ")[2])
    assert words == ["hiexp.train", *OTHERS, "n_classes=3"]


@pytest.mark.slow
def test_a_sweep_takes_over_predictions_of_the_same_model(tmp_path):
    write_run(tmp_path / "one", learned())
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    result = predict("-m", "run=one,two", *OTHERS, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "2 of 2 jobs done, 1 of them in an earlier run" in result.stdout
    assert "highest success rate first" in result.stdout


FAULTS = {
    "no dataset": (["run=gift"], "dataset is not set; add dataset=... to the command, one of alfalfa, arrays"),
    "no run": (["dataset=mock_cig"], "run is not set; add run=..."),
    "no such run": (["run=nowhere", "dataset=mock_cig"], "run=nowhere: no such folder"),
    "a setting of the fit": (["run=gift", "dataset=mock_cig", "fit.n_samples=5"], "as the run has them"),
    "a stage": (["run=gift", "dataset=mock_cig", "classifier=knn"], "as the run has them"),
    "a sweep with a run that is none": (
        ["-m", "run=gift,nowhere", "dataset=mock_cig"],
        "run=nowhere: no such folder",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_in_one_line_before_anything_is_written(tmp_path, fault):
    words, said = FAULTS[fault]
    write_run(tmp_path / "gift", learned())
    result = predict(*words, "tracking=none", cwd=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not list(tmp_path.glob("runs/*/*/.hydra"))


def test_the_key_of_the_work_is_that_of_the_model(tmp_path):
    one = write_run(tmp_path / "one", learned())
    other = write_run(tmp_path / "other", learned(seed=2))
    shutil.copytree(one, tmp_path / "copy")
    hashes = []
    for folder in (one, other, tmp_path / "copy"):
        cfg = composed(f"run={folder}", "dataset=mock_cig", f"root={tmp_path}", "tracking=none", command="predict")
        hashes.append((config_hash(cfg), work_key(cfg)))
    assert hashes[0] == hashes[2]
    assert not set(hashes[0]) & set(hashes[1])


def test_help_names_every_member(tmp_path):
    text = predict("--help", cwd=tmp_path).stdout
    for group in ("dataset", "tracking"):
        members = ", ".join(sorted(file.stem for file in (CONFIGS / group).glob("*.yaml")))
        assert f"\n{group}: {members}\n" in text
    assert "classifier" in text
