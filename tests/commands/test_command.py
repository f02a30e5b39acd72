"""The command as a user types it: each test in an empty folder, in a process of its own."""

import re

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from helpers.commands import command, only_run, train
from hydra.utils import instantiate
from mlflow import MlflowClient
from omegaconf import OmegaConf

from hiexp.run.model_files import load_model

QUICK_CNN = ["dataset.n_galaxies=60", "epochs=1", "feature.size=32"]
RAW_KNN = ["feature=raw", "classifier=knn", "tracking=none"]
QUICK = ["dataset.n_galaxies=90", *RAW_KNN]


def recorded_runs(folder, experiment="hiexp"):
    """The runs of single runs and jobs: the run that stands for a sweep is not among them."""
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return client, [run for run in runs if run.data.tags.get("kind") != "sweep"]


@pytest.mark.slow
def test_the_main_job(hiexp_train, tmp_path):
    screen = hiexp_train("dataset.n_galaxies=90", "epochs=3", "feature.size=16")
    run = only_run(tmp_path)

    for said in ("success rate", "chance", "predictions.csv", "mlflow ui", "sqlite:///", "try next", "model=simple,"):
        assert said in screen.stdout
    assert "training the network" in screen.stderr
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cache", "mlruns", "runs"]

    predictions = pd.read_csv(run / "predictions.csv")
    assert predictions.columns.tolist() == [
        *("id", "split", "clustered", "used_for_training", "reference", "label", "predicted", "yardstick"),
        *("probability_0", "probability_1", "probability_2"),
    ]
    assert predictions["split"].value_counts()["test"] == 27
    assert 85 <= len(predictions) <= 90  # less those that could not be fitted
    np.testing.assert_allclose(predictions.filter(like="probability").sum(axis=1), 1)

    # Truth and prediction are joined by id: accuracy can be studied against S/N.
    catalogue = pd.read_csv(run / "catalogue.csv")
    assert catalogue["id"][catalogue["id"].isin(predictions["id"])].tolist() == predictions["id"].tolist()
    assert {"SNR", "A_flux", "inclination", "W50", "Dist"} <= set(catalogue)

    client, (record,) = recorded_runs(tmp_path)
    test = predictions[predictions["split"] == "test"]
    assert record.data.metrics["test/accuracy"] == pytest.approx(np.mean(test["predicted"] == test["reference"]))
    assert {
        *("test/accuracy", "test/balanced_accuracy", "test/macro_f1", "test/success_rate"),
        *("chance/chance_success_rate", "time/fit_seconds", "time/train_seconds", "time/peak_memory_mb"),
    } <= record.data.metrics.keys()
    assert len(client.get_metric_history(record.info.run_id, "train/loss")) == 3
    assert {"git_commit", "config_hash", "host"} <= record.data.tags.keys()
    assert record.data.tags["mlflow.source.name"] == "hiexp.train"
    assert record.data.params["model"] == "simple"
    assert record.data.params["model.filters"] == "[32, 64, 128]"
    assert record.data.params["epochs"] == "3"
    stored = {file.path for file in client.list_artifacts(record.info.run_id)}
    assert {"config.yaml", "predictions.csv", "fits.ecsv", "fits.parquet", "plots"} <= stored
    assert len(record.outputs.model_outputs) == 1
    pictures = {file.path for file in client.list_artifacts(record.info.run_id, "plots")}
    names = ("classes", "confusion", "fits", "parameters", "parameters_by_class", "saliency", "training")
    assert pictures == {f"plots/{name}.{form}" for name in names for form in ("png", "pdf")}

    # What is stored is enough to predict again.
    cfg = OmegaConf.load(run / "config.yaml")
    fit = instantiate(cfg.fit)(instantiate(cfg.dataset)())
    profiles = fit.profiles[fit.good]
    model = load_model(run / "model")
    np.testing.assert_array_equal(model.predict(profiles), predictions["predicted"])
    np.testing.assert_allclose(model.predict_proba(profiles), predictions.filter(like="probability"), atol=1e-12)


@pytest.mark.slow
def test_the_sweep_of_nine(hiexp_train, tmp_path):
    screen = hiexp_train("-m", "model=simple,medium,complex", "test_size=0.3,0.5,0.7", *QUICK_CNN)
    assert "9 of 9 jobs done, 0 failed" in screen.stdout
    _, records = recorded_runs(tmp_path)
    assert len(records) == 9
    assert len({(record.data.params["model"], record.data.params["test_size"]) for record in records}) == 9
    assert all("test/success_rate" in record.data.metrics for record in records)
    assert len({record.info.run_name for record in records}) == 9
    (ranking,) = tmp_path.glob("runs/*/*/ranking.csv")
    ranked = pd.read_csv(ranking)
    assert len(ranked) == 9
    assert ((ranked["model"] == "complex") & (ranked["test_size"] == 0.7)).sum() == 1
    useful = ranked[ranked["n_predicted_classes"] > 1]
    assert useful["success_rate"].is_monotonic_decreasing
    assert ranking.with_name("sweep.html").read_text().count('<tr class="run">') == 9

    words = ["model=simple,medium", "--sort", "balanced_accuracy", "--html", "report.html"]
    compared = command("hiexp.compare", "--experiment", "hiexp", *words, cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    best = max(
        (record for record in records if record.data.params["model"] != "complex"),
        key=lambda record: record.data.metrics["test/balanced_accuracy"],
    )
    first = re.search(r"^ +run .*\n(.*)$", compared.stdout, re.MULTILINE)[1]
    assert f"{best.data.metrics['test/balanced_accuracy']:.3f} [" in first
    assert f"the best again:  {best.data.tags['command']}" in compared.stdout
    page = (tmp_path / "report.html").read_text()
    assert page.count('<tr class="run">') == 6
    assert 'class="best' in page  # a cell of the heat map


@pytest.mark.slow
def test_real_spectra_in_groups(hiexp_train, tmp_path, appss):
    words = ["dataset=alfalfa", f"dataset.path={appss}", "feature=raw", "labels=cluster", "labels.smallest=1"]
    hiexp_train(*words, "clusterer=kmeans", "n_classes=3", "classifier=random_forest")
    run = only_run(tmp_path)
    predictions = pd.read_csv(run / "predictions.csv", dtype={"id": str})
    assert predictions["id"].tolist() == sorted(file.stem[1:] for file in appss.glob("*.fits"))
    assert predictions["reference"].isna().all()
    assert set(predictions["label"]) == {0, 1, 2}
    assert (run / "plots" / "classes.png").stat().st_size > 10_000
    _, (record,) = recorded_runs(tmp_path)
    assert record.info.status == "FINISHED"
    assert record.data.metrics["count/n_test"] == 4


@pytest.mark.slow
def test_a_catalogue_chooses_among_real_spectra(hiexp_train, tmp_path, appss):
    numbers = sorted(int(file.stem[1:]) for file in appss.glob("*.fits"))
    table = pd.DataFrame({"AGC": [*numbers[1:], 7], "SNR": [*range(12), 5.0], "Distance": 1.0})
    table.to_csv(tmp_path / "a100.csv", index=False)
    words = ["dataset=alfalfa", f"dataset.path={appss}", "dataset.catalogue=a100.csv", "dataset.where.SNR=[2,null]"]
    words += ["+dataset.where.Distance=[null,2]", "labels=cluster", "labels.smallest=1"]
    words += ["n_classes=2", *RAW_KNN]
    screen = hiexp_train(*words)
    assert "1 times a spectrum without a catalogue row: unmatched.csv" in screen.stdout
    run = only_run(tmp_path)
    assert len(pd.read_csv(run / "predictions.csv")) == 10
    assert set(pd.read_csv(run / "unmatched.csv", dtype=str)["name"]) == {f"{numbers[0]:06d}", "000007"}
    assert len(list((tmp_path / "cache").glob("spectra-*.npz"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["labels=random", "classifier=svm"],
        ["labels=cluster", "clusterer=gaussian_mixture", "n_classes=4"],
        ["fit=gaussian", "n_classes=2"],
        ["feature=image2d", "classifier=random_forest"],
        ["+experiment=cluster_forest"],
    ],
    ids=" ".join,
)
def test_other_combinations(hiexp_train, tmp_path, words):
    hiexp_train(*QUICK, *words)
    predictions = pd.read_csv(only_run(tmp_path) / "predictions.csv")
    assert set(predictions["split"]) == {"train", "test"}
    if "n_classes=2" in words:
        assert set(predictions["reference"]) == {0, 2}
    if "labels=random" in words:
        held_out = predictions["split"] == "test"
        assert predictions["label"].isna().equals(held_out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "name", "yaml", "words"),
    [
        (
            "clusterer",
            "optics",
            "_target_: sklearn.cluster.OPTICS\nmin_samples: 5\n",
            ["labels=cluster"],
        ),
        (
            "classifier",
            "boosting",
            "_target_: sklearn.ensemble.HistGradientBoostingClassifier\nmax_iter: 5\nrandom_state: ${seed}\n",
            [],
        ),
    ],
)
def test_a_new_method_is_a_yaml_file(hiexp_train, tmp_path, group, name, yaml, words):
    folder = tmp_path / "my configs" / group
    folder.mkdir(parents=True)
    (folder / f"{name}.yaml").write_text(yaml)
    search = f"hydra.searchpath=['file://{tmp_path}/my configs']"
    screen = hiexp_train(*QUICK, f"{group}={name}", *words, search)
    run = only_run(tmp_path)
    assert OmegaConf.load(run / "config.yaml")[group]["_target_"] == OmegaConf.create(yaml)["_target_"]
    assert pd.read_csv(run / "predictions.csv")["predicted"].unique().size > 1
    assert ("noise" in screen.stdout) == (name == "optics")


@pytest.mark.slow
def test_same_config_same_numbers(hiexp_train, tmp_path):
    for _ in range(2):
        hiexp_train(*QUICK_CNN, "tracking=none")
    one, two = (pd.read_csv(file) for file in tmp_path.glob("runs/*/*/predictions.csv"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.slow
def test_one_key_moves_everything(hiexp_train, tmp_path):
    hiexp_train(*QUICK[:-1], "root=else where")
    assert [entry.name for entry in tmp_path.iterdir()] == ["else where"]
    assert len(recorded_runs(tmp_path / "else where")[1]) == 1


FAULTS = {
    "a missing folder": (["dataset=alfalfa", "dataset.path=nowhere"], "dataset.path=nowhere: no such folder"),
    "no folder": (["dataset=alfalfa"], "dataset.path is not set"),
    "an empty folder": (["dataset=alfalfa", "dataset.path=."], "no A######.fits in this folder"),
    "too many reference classes": (["n_classes=5"], "n_classes=5"),
    "more groups than objects": (["labels=cluster", "n_classes=500"], "n_clusters=500"),
    "too little to train on": (["test_size=0.999"], "test_size"),
    "an unknown member": (["clusterer=magic"], "clusterer=magic: there are"),
    "an unknown key": (["classifier.magic=1"], "magic"),
    "a value Hydra refuses": (["hydra.run.dir=null"], "hydra.run.dir=null: field 'hydra.run.dir' is not Optional"),
    "a preset in place of a group": (["experiment=learning_curve"], "by +experiment=NAME"),
    "a key there is already": (["+root=x"], "root: it is there already; leave out the +"),
    "a group there is already": (["+dataset=cig"], "dataset: it is there already; leave out the +"),
    "a circle": (["root=${root}"], "hydra.run.dir: Recursive interpolation detected; correct"),
    "images too small for the network": (["feature=image2d", "feature.size=3", "classifier=cnn"], "feature.size"),
    "a bad setting": (["classifier.n_neighbors=1000"], "KNeighborsClassifier"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_in_a_few_lines(tmp_path, fault):
    words, said = FAULTS[fault]
    result = train(*RAW_KNN, *words, cwd=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert said in result.stderr.splitlines()[-1]


def test_a_key_of_another_launcher_is_told_in_a_sweep_too(tmp_path):
    result = train("-m", "classifier=knn,svm", "hydra.launcher.n_jobs=2", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.endswith("hydra.launcher.n_jobs needs hydra/launcher=joblib\n")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_the_traceback_is_there_for_who_asks(tmp_path):
    result = train(*QUICK, "n_classes=5", cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert result.returncode != 0
    assert "Traceback" in result.stderr


@pytest.mark.slow
def test_bad_files_among_good_ones_are_counted_and_listed(hiexp_train, tmp_path, appss):
    for file in appss.glob("*.fits"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "A000001.fits").write_text("not a FITS file")
    absorption = np.column_stack([5000 - 5.0 * np.arange(200), -5 - np.sin(np.arange(200.0)) ** 2])
    columns = [
        fits.Column(name, "D", array=values)
        for name, values in zip(("VHELIO", "FLUX", "WEIGHT"), (*absorption.T, np.ones(200)), strict=True)
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "A000002.fits")
    words = ["dataset=alfalfa", "dataset.path=.", "feature=raw", "labels=cluster", "labels.smallest=1"]
    words += ["classifier=knn"]
    screen = hiexp_train(*words)
    assert "Skipped 2 of 15" in screen.stdout
    skipped = pd.read_csv(only_run(tmp_path) / "skipped.csv", dtype=str)
    assert skipped["name"].tolist() == ["A000001.fits", "000002"]
    client, (record,) = recorded_runs(tmp_path)
    assert "skipped.csv" in {file.path for file in client.list_artifacts(record.info.run_id)}


@pytest.mark.slow
def test_a_job_that_fails_does_not_stop_the_sweep(tmp_path):
    words = ["-m", *QUICK[:-1], "labels=cluster", "n_classes=3,500,4"]
    result = train(*words, cwd=tmp_path)
    assert result.returncode == 1
    assert "2 of 3 jobs done, 1 failed" in result.stdout
    assert re.search(
        r"FAILED  1  KMeans cannot group 6\d of the 6\d training profiles.*  \(n_classes=500\)", result.stdout
    )
    assert "Traceback" not in result.stdout + result.stderr
    _, records = recorded_runs(tmp_path)
    assert sorted(record.info.status for record in records) == ["FAILED", "FINISHED", "FINISHED"]


def test_help_explains_the_groups_and_keys(hiexp_train):
    text = hiexp_train("--help").stdout
    for said in ("dataset: ", "clusterer: ", "kmeans", "test_size", "n_classes", "device", "-m model=simple,medium"):
        assert said in text
