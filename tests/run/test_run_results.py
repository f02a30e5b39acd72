"""What came out of a run that is loaded again: numbers, tables with units, figures."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from helpers.commands import only_run
from helpers.trained import learned, write_run

from hiexp import load_run, long_tables
from hiexp.datasets import mock_cig
from hiexp.errors import InputError
from hiexp.fitting import fit_busy, fit_none
from hiexp.long_tables import write_table
from hiexp.run.sample import write_sample

SKY = {"_target_": "hiexp.datasets.mock_cig", "_partial_": True, "n_galaxies": 12, "seed": 1}
ODD = ["=1+1", "'=x", "NA", "0042", "", "a,b", 'say "so"', "nan", "M9"]


def predictions(**changes):
    columns = {
        "id": ODD,
        "split": ["train", "test", "test"] * 3,
        "clustered": False,
        "reference": pd.array([0, 1, None] * 3, dtype="Int64"),
        "label": pd.array([0, 1, 2] * 3, dtype="Int64"),
        "predicted": [0, 1, 1, 0, 0, 1, 0, 2, 1],
        "yardstick": pd.array([None] * 9, dtype="Int64"),
        "probability_0": np.random.default_rng(0).random(9),
    }
    return pd.DataFrame(columns | changes)


@pytest.fixture(scope="module")
def model():
    return learned()


@pytest.fixture
def run(model, tmp_path):
    folder = write_run(tmp_path / "run", model, dataset=SKY)
    (folder / "metrics.json").write_text(json.dumps({"n_test": 6, "accuracy": 0.5}))
    return load_run(folder)


@pytest.fixture(params=[False, True], ids=["text", "long"])
def long(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(long_tables, "MOST_ROWS_OF_TEXT", 5)
    return request.param


def counts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_catalogue_whose_objects_have_no_column_name_is_written_with_one(tmp_path):
    """As that of a dataset of one's own may be."""
    spectra = mock_cig(n_galaxies=5)
    spectra = replace(spectra, catalogue=spectra.catalogue.rename_axis(None))
    write_sample(spectra, fit_none(spectra), tmp_path)
    assert pd.read_csv(tmp_path / "catalogue.csv")["id"].tolist() == spectra.ids.tolist()


def test_predictions_are_as_they_were_whatever_the_names_of_objects(run, long):
    file = write_table(predictions(), run.folder / "predictions.csv")
    assert (file.suffix == ".parquet") == long
    expected = predictions().astype({"predicted": "Int64"})
    pd.testing.assert_frame_equal(run.predictions(), expected, check_exact=True, check_dtype=False)
    assert (run.predictions().dtypes == expected.dtypes).all()
    assert run.metrics == {"n_test": 6, "accuracy": 0.5}


def test_fits_have_units_and_meanings(run, long):
    fit = fit_busy(mock_cig(9), n_samples=20)
    fit.write(run.folder)
    found = run.fits()
    assert found["id"].tolist() == fit.table.index.tolist()
    assert found["w50"].unit == found["w50_err"].unit == u.km / u.s
    assert found["flux_int"].quantity.to_value("mJy km/s") == pytest.approx(1000 * fit.table["flux_int"].to_numpy())
    assert found["A_flux"].description.startswith("flux asymmetry")


def test_the_confusion_is_of_objects_held_out_whose_class_is_known(run):
    write_table(predictions(), run.folder / "predictions.csv")
    assert counts(run.confusion_figure()) == ["0", "0", "0", "1", "1", "1", "0", "0", "0"]


def test_without_reference_classes_the_groups_of_the_clusterer_are_true(run):
    write_table(predictions(reference=pd.NA), run.folder / "predictions.csv")
    figure = run.confusion_figure()
    assert counts(figure) == ["0", "0", "0", "1", "1", "1", "0", "3", "0"]
    assert figure.axes[0].get_ylabel() == "clusterer class"


def test_of_several_repeats_the_confusion_is_of_the_first(run):
    rows = predictions(split="test", reference=[0, 1, 2] * 3, repeat=[1] * 5 + [2] * 4)
    write_table(rows, run.folder / "predictions.csv")
    assert sum(map(int, counts(run.confusion_figure()))) == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("", "no column id"),
        ("id,split\nA,test\n", "no column reference"),
        ("id,split,reference,label,predicted\nA,test,0,0,0\nB,te", "ends after"),
        ("id,split,reference,label,predicted\nA,test,0,0,0\n", "ends after 1 rows"),
        ("id,split,reference,label,predicted\n" + "A,test,0,0,x\n" * 6, "no class"),
        ("id,split,reference,label,predicted\n" + "A,test,,,0\n" * 6, "no object of a known class"),
    ],
)
def test_damaged_predictions_are_refused_by_name(run, content, said):
    if content is not None:
        (run.folder / "predictions.csv").write_text(content)
    with pytest.raises(InputError, match=rf"predictions\.csv.* {said}"):
        run.confusion_figure()
    if "known" not in said:
        with pytest.raises(InputError, match=rf"predictions\.csv.* {said}"):
            run.predictions()


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_damaged_fits_are_refused_by_name(run, content):
    if content is not None:
        (run.folder / "fits.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"fits\.parquet"):
        run.fits()


def test_tables_that_are_links_are_not_followed(run, tmp_path):
    fit_busy(mock_cig(9), n_samples=20).write(tmp_path)
    write_table(predictions(), tmp_path / "predictions.csv")
    for name, read in (("fits.parquet", run.fits), ("predictions.csv", run.predictions)):
        (run.folder / name).symlink_to(tmp_path / name)
        with pytest.raises(InputError, match="it is a link"):
            read()


def test_what_is_trained_without_epochs_has_no_training_curve(run):
    with pytest.raises(InputError, match="without epochs"):
        run.training_figure()


@pytest.mark.slow
def test_figures_are_the_pictures_of_the_run(hiexp_train, tmp_path):
    hiexp_train("dataset.n_galaxies=60", "fit=none", "epochs=3", "evaluation.permutations=20", "tracking=none")
    run = load_run(only_run(tmp_path))
    for name in ("confusion", "training"):
        figure = getattr(run, f"{name}_figure")()
        assert figure._repr_png_() == (run.folder / "plots" / f"{name}.png").read_bytes()
    assert run.metrics["n_test"] == (run.predictions()["split"] == "test").sum()
    assert set(run.predictions()["id"]) <= set(run.fits()["id"])
