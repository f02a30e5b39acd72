"""``python -m hiexp.fit`` as a user types it: each test in an empty folder, in a process of its own."""

import re
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.table import Table
from helpers.commands import command, only_run, train
from mlflow import MlflowClient

from hiexp.configs import CONFIGS
from hiexp.fitting import FitResult
from hiexp.run.summary import _failure_counts
from hiexp.tracking.names import plain


def fit(*words, cwd):
    return command("hiexp.fit", *words, cwd=cwd)


def flat_spectra(folder, n=3):
    """A file of series without anything that could be a line."""
    np.savez(folder / "flat.npz", flux=np.full((n, 200), -1.0), velocity=np.arange(200) * 5.0, rms=np.ones(n))
    return ["dataset=arrays", "dataset.path=flat.npz"]


@pytest.mark.slow
def test_a_sample_is_fitted_written_and_recorded(tmp_path):
    result = fit("dataset.n_galaxies=20", "fit=gaussian", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    run = only_run(tmp_path)
    files = {str(file.relative_to(run)) for file in run.rglob("*") if file.is_file() and ".hydra" not in file.parts}
    assert files == {
        *("catalogue.csv", "config.yaml", "fit.log", "fits.ecsv", "fits.parquet", "metrics.json", "run.json"),
        *("profiles.parquet", "provenance.json"),
        *("plots/fits.png", "plots/parameters.png", "plots/fits.pdf", "plots/parameters.pdf"),
    }
    for name in ("fits.ecsv", "fits.parquet"):
        table = Table.read(run / name)
        assert len(table) == 20
        assert table["w50"].unit == units.km / units.s
        assert list(table["id"]) == pd.read_csv(run / "catalogue.csv")["id"].tolist()

    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (record,) = client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])
    assert record.info.status == "FINISHED"
    assert record.info.run_name == "n20 gaussian"
    assert record.data.tags["mlflow.source.name"] == "hiexp.fit"
    assert record.data.params["fit"] == "gaussian"
    assert record.data.params["dataset.n_galaxies"] == "20"
    metrics = {plain(name): value for name, value in record.data.metrics.items()}
    good = table["status"] == "ok"
    assert (metrics["n_spectra"], metrics["n_good"], metrics["n_failed"]) == (20, good.sum(), (~good).sum())
    assert metrics["median_chi2_dof"] == pytest.approx(np.median(table["chi2_dof"][good]))
    assert metrics["spectra_per_second"] == pytest.approx(20 / metrics["fit_seconds"])
    stored = {file.path for file in client.list_artifacts(record.info.run_id)}
    assert {"fits.ecsv", "fits.parquet", "catalogue.csv", "config.yaml", "plots"} <= stored

    assert f"{good.sum()} of 20 spectra fitted in" in result.stdout
    flags = pd.read_parquet(run / "fits.parquet")["flags"][np.asarray(good)].str.split(",").explode()
    counts = flags[flags != ""].value_counts()
    assert ("flags   " in result.stdout) == bool(len(counts))
    assert all(f"{name} {count}" in result.stdout for name, count in counts.items())
    median = re.search(r"^w50 +([\d.]+) ", result.stdout, re.MULTILINE)
    assert float(median[1]) == pytest.approx(np.median(table["w50"][good]), rel=1e-3)
    assert "mlflow ui" in result.stdout


@pytest.mark.slow
def test_what_the_screen_says_to_type_next_works(tmp_path):
    result = fit("dataset.n_galaxies=90", "tracking=none", cwd=tmp_path)
    said = dict(re.findall(r"^(read the table|try next): +(.*)$", result.stdout, re.MULTILINE))
    code = f"{said['read the table']}; print(len(fits), fits['w50'].unit)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=tmp_path) == "90 km / s\n"
    words = shlex.split(said["try next"])
    assert words[1:3] == ["-m", "hiexp.train"]
    assert words[3:] == ["dataset.n_galaxies=90", "tracking=none", "n_classes=3"]
    assert train(*words[3:], "epochs=1", "feature.size=16", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_objects_that_fail_are_counted_and_listed(tmp_path):
    flux = np.full((5, 200), -1.0)
    flux[:3] += 20 * np.exp(-0.5 * ((np.arange(200) - 100) / 10) ** 2)
    np.savez(tmp_path / "some.npz", flux=flux, velocity=np.arange(200) * 5.0, rms=np.ones(5))
    result = fit("dataset=arrays", "dataset.path=some.npz", "tracking=none", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "3 of 5 spectra fitted in" in result.stdout
    assert "    2  constant flux" in result.stdout
    assert "fit=busy,gaussian,double_lorentzian" in result.stdout
    assert len(pd.read_csv(only_run(tmp_path) / "skipped.csv")) == 2


def test_the_screen_counts_the_most_frequent_reasons_and_sums_up_the_others():
    reasons = ["ok", "lost", "lost", "lost", "dim", "dim", *"abcde"]
    table = pd.DataFrame({"status": reasons}, index=[str(i) for i in range(11)])
    assert _failure_counts(FitResult(table, np.zeros((11, 2)), np.zeros((11, 2)))) == [
        *("    3  lost", "    2  dim", "    1  a", "    1  b", "    1  c"),
        "    2  for 2 other reasons: skipped.csv",
    ]


@pytest.mark.slow
def test_series_without_lines_are_written_without_a_page_of_fits(tmp_path):
    result = fit(*flat_spectra(tmp_path), "fit=whole", "tracking=none", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [file.name for file in (only_run(tmp_path) / "plots").glob("*.png")] == ["parameters.png"]


FAULTS = {
    "a missing folder": (["dataset=alfalfa", "dataset.path=nowhere"], "dataset.path=nowhere: no such folder"),
    "no folder": (["dataset=alfalfa"], "dataset.path is not set"),
    "an unknown fit": (["fit=magic"], "fit=magic: there are"),
    "a stage of the training": (["classifier=knn"], "classifier: hiexp.fit has no such group"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_in_a_few_lines(tmp_path, fault):
    words, said = FAULTS[fault]
    result = fit(*words, "tracking=none", cwd=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.slow
def test_a_sample_of_which_nothing_can_be_used(tmp_path):
    result = fit(*flat_spectra(tmp_path), "tracking=none", cwd=tmp_path)
    assert result.returncode == 1
    said = "none of the 3 spectra can be used; the first: constant flux"
    assert said in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    run = only_run(tmp_path)
    assert (run / "error.txt").read_text().startswith(f"{said}\n\nTraceback")
    assert (Table.read(run / "fits.ecsv")["status"] == "constant flux").all()
    assert len(pd.read_csv(run / "skipped.csv")) == 3


@pytest.mark.slow
def test_the_page_of_an_object_that_cannot_be_fitted_is_drawn(tmp_path):
    """It shows why; `ids=null` is all objects, without pages."""
    words = [*flat_spectra(tmp_path), "tracking=none", "export=csv"]
    result = fit(*words, "ids=2", "hydra.run.dir=one", cwd=tmp_path)
    assert result.returncode == 1
    assert "none of the 1 spectra can be used" in result.stderr
    assert [page.name for page in tmp_path.glob("one/plots/objects/*")] == ["2.pdf"]
    assert "none of the 3 spectra" in fit(*words, "ids=null", "hydra.run.dir=all", cwd=tmp_path).stderr


@pytest.mark.slow
def test_a_sweep_over_fits_ends_with_their_ranking(tmp_path):
    result = fit("-m", "fit=none,gaussian", "dataset.n_galaxies=20", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "2 of 2 jobs done, 0 failed" in result.stdout
    (file,) = tmp_path.glob("runs/*/*/ranking.csv")
    ranking = pd.read_csv(file)
    # What has no model has no chi2 and comes last.
    assert ranking["fit"].tolist() == ["gaussian", "none"]
    assert ranking["n_good"].tolist() == [20, 20]
    header, first, second = re.search(r"^ +(run .*)\n(.*)\n(.*)$", result.stdout, re.MULTILINE).groups()
    assert header.split() == ["run", "median", "chi2/dof", "fitted", "failed", "seconds", "fit"]
    assert first.split()[:4] == ["1", f"{ranking['median_chi2_dof'][0]:.3f}", "20", "0"]
    assert second.split()[:3] == ["0", "20", "0"]
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("hiexp").experiment_id])
    (parent,) = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    assert [run.data.tags.get("mlflow.parentRunId") for run in runs if run != parent] == [parent.info.run_id] * 2


@pytest.mark.slow
def test_a_job_that_fails_does_not_stop_the_sweep(tmp_path):
    result = fit("-m", "dataset.snr_min=1e9,10", "dataset.n_galaxies=5", "tracking=none", cwd=tmp_path)
    assert result.returncode == 1
    assert re.search(r"^FAILED  0  only 0 of .*  \(dataset\.snr_min=1000000000\.0\)$", result.stdout, re.MULTILINE)
    assert "1 of 2 jobs done, 1 failed" in result.stdout


def test_help_names_every_member(tmp_path):
    text = fit("--help", cwd=tmp_path).stdout
    for group in ("dataset", "fit", "tracking"):
        members = ", ".join(sorted(file.stem for file in (CONFIGS / group).glob("*.yaml")))
        assert f"\n{group}: {members}\n" in text
    assert "classifier" not in text
