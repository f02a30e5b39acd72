"""A model of a sky like a sample, applied to the sample: ``python -m hiexp.train +experiment=transfer``."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers.commands import command, train
from helpers.configuration import composed

from hiexp.datasets import mock_cig
from hiexp.errors import InputError
from hiexp.fitting import fit_none
from hiexp.run import provenance
from hiexp.run.provenance import work_key
from hiexp.run.transfer import check_transfer, real_settings

GALAXIES = {"_target_": "hiexp.datasets.mock_cig", "_partial_": True, "n_galaxies": 12, "seed": 3}
QUICK = [
    *("fit=none", "feature.simulations=500", "classifier=knn"),
    *("dataset.n_galaxies=150", "evaluation.permutations=20", "tracking=none"),
]


def transfer(like, *words, cwd):
    return train(*words, "+experiment=transfer", f"dataset.like={like}", *QUICK, cwd=cwd)


def write_spectra(folder, n, seed=3):
    spectra = mock_cig(n, seed=seed, n_channels=512, snr_min=20.0)
    folder.mkdir()
    for name, velocity, flux in zip(spectra.ids, spectra.velocity, spectra.flux, strict=True):
        rows = np.column_stack([velocity, flux])
        np.savetxt(folder / f"{name}.txt", rows, header="velocity[km/s] flux[mJy]", comments="")
    return folder


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """The folder of a run of fits, as far as a transfer looks at it."""
    folder = tmp_path_factory.mktemp("fits")
    fit_none(mock_cig(12, seed=3), n_samples=20).write(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump({"dataset": GALAXIES, "ids": ["M0001", "M0002"]}))
    return folder


@pytest.fixture
def run(fits, tmp_path):
    """A copy of such a folder, with other settings."""

    def changed(**settings):
        folder = shutil.copytree(fits, tmp_path / "run")
        known = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump(known | settings))
        return folder

    return changed


@pytest.mark.slow
def test_a_model_is_applied_to_the_run_that_its_sky_is_like(tmp_path):
    words = ["dataset.n_galaxies=80", "fit=none", "tracking=none", "hydra.run.dir=runs/day/fits"]
    assert command("hiexp.fit", *words, cwd=tmp_path).returncode == 0
    result = transfer("runs/day/fits", "hydra.run.dir=out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    out = tmp_path / "out"
    files = {str(file.relative_to(out / "transfer")) for file in (out / "transfer").rglob("*") if file.is_file()}
    assert files == {
        *("catalogue.csv", "fits.ecsv", "fits.parquet", "profiles.parquet", "predictions.csv", "dependence.csv"),
        *("parameters_by_class.csv",),
        *(
            f"plots/{name}.{form}"
            for name in ("fits", "parameters", "classes", "parameters_by_class", "confusion")
            for form in ("png", "pdf")
        ),
    }
    assert {f"transfer/{name}" for name in files} <= set(json.loads((out / "run.json").read_text())["files"])
    table = pd.read_csv(out / "transfer" / "predictions.csv")
    assert len(table) == 80
    metrics = json.loads((out / "metrics.json").read_text())
    right = (table["predicted"] == table["reference"]).mean()
    assert metrics["transfer_accuracy"] == pytest.approx(right)
    assert metrics["transfer_n_unlike"] == table["unlike_training"].notna().sum()
    assert metrics["transfer_yardstick_accuracy"] == pytest.approx((table["yardstick"] == table["reference"]).mean())
    assert metrics["transfer_n_good"] == sum(metrics[f"transfer_n_class_{name}"] for name in range(3)) == 80
    assert "accuracy" in metrics
    assert "n_unlike" not in metrics
    own, _, moved = result.stdout.partition("The spectra that the sky is like, dataset.like=runs/day/fits:\n80 of 80")
    assert "Test set, scored against the reference classes" in own
    assert "80 objects, scored against the reference classes" in moved
    assert "unlike the training sample" in moved
    assert "A_flux divided at 1.26 and 1.39, nothing learned" in moved

    again = command("hiexp.predict", "run=out", "dataset=mock_cig", "dataset.n_galaxies=80", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    (predicted,) = tmp_path.glob("runs/*/*/predict.log")
    same = pd.read_csv(predicted.parent / "predictions.csv")
    pd.testing.assert_frame_equal(table, same)


@pytest.mark.slow
def test_jobs_of_a_sweep_are_transferred_to_spectra(tmp_path):
    write_spectra(tmp_path / "mine", 12)
    words = ["-m", "seed=0,1", "dataset.n_channels=256", "hydra.sweep.dir=out"]
    result = transfer("mine", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("transfer: 12 of 12 classified") == 2
    tables = [pd.read_csv(file) for file in sorted(tmp_path.glob("out/*/transfer/predictions.csv"))]
    assert [len(table) for table in tables] == [12, 12]
    assert "reference" not in tables[0]


@pytest.mark.slow
def test_spectra_without_a_line_are_told_before_the_training(tmp_path):
    folder = write_spectra(tmp_path / "mine", 5)
    fitted = command("hiexp.fit", "dataset=spectra", "dataset.path=mine", "fit=none", "hydra.run.dir=f", cwd=tmp_path)
    assert fitted.returncode == 0, fitted.stderr
    shutil.rmtree(folder)
    result = transfer("f", cwd=tmp_path)
    assert result.returncode == 1
    assert "dataset.path=mine" in result.stderr
    assert "objects to train on" not in result.stdout


def settings_of(like, *words):
    return composed("+experiment=transfer", f"dataset.like={like}", *words)


def test_the_spectra_are_those_of_the_run(fits):
    found = real_settings(settings_of(fits))
    assert found == {"dataset": GALAXIES, "ids": ["M0001", "M0002"]}


def test_a_packed_folder_is_packed_where_this_run_is(run, tmp_path):
    folder = run(dataset={"_target_": "hiexp.datasets.read_alfalfa", "path": "spectra", "cache": "/of/another"})
    found = real_settings(settings_of(folder, f"root={tmp_path}"))
    assert found["dataset"]["cache"] == f"{tmp_path}/cache"
    assert real_settings(settings_of(folder, "cache=off"))["dataset"]["cache"] is None


def test_nothing_is_transferred_unless_asked_for():
    assert real_settings(composed()) == {}
    assert real_settings(composed("dataset=mock_like", "dataset.like=nowhere")) == {}


def test_a_sky_like_nothing_is_refused():
    with pytest.raises(InputError, match="the dataset is not like any sample; choose dataset=mock_like"):
        check_transfer(composed("transfer=true"))


def test_fits_alone_have_no_spectra(fits, tmp_path):
    table = shutil.copy(fits / "fits.ecsv", tmp_path / "mine.ecsv")
    for place in (fits / "fits.parquet", table):
        with pytest.raises(InputError, match="is a table of fits, which has no spectra; give the folder of the run"):
            check_transfer(settings_of(place))


def test_samples_that_are_not_there(tmp_path, run):
    with pytest.raises(InputError, match=r"dataset\.like=.*nowhere: no such file or folder"):
        check_transfer(settings_of(tmp_path / "nowhere"))
    folder = run()
    for file in folder.glob("fits.*"):
        file.unlink()
    with pytest.raises(InputError, match=r"this run has no fits\.parquet; give one that has ended well"):
        check_transfer(settings_of(folder))


@pytest.mark.parametrize("dataset", [{"_target_": "os.system", "command": "true"}, {"_target_": "my_own.dataset"}])
def test_a_run_of_a_stranger_has_nothing_called(run, dataset):
    with pytest.raises(InputError, match=f"{dataset['_target_']}; train with transfer=false, and apply the model by"):
        check_transfer(settings_of(run(dataset=dataset)))


def test_a_job_whose_spectra_have_changed_is_another_one(tmp_path, run, monkeypatch):
    spectra = write_spectra(tmp_path / "mine", 2)
    folder = run(dataset={"_target_": "hiexp.datasets.read_spectra", "path": str(spectra)})
    monkeypatch.setattr(provenance, "_files", provenance._files.__wrapped__)  # which looks once a command
    alone = "transfer=false"
    before = work_key(settings_of(folder)), work_key(settings_of(folder, alone))
    shutil.copy(spectra / "M0001.txt", spectra / "M0003.txt")
    after = work_key(settings_of(folder)), work_key(settings_of(folder, alone))
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)
