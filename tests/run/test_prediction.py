"""A model read from a run's folder, on other spectra; whoever has made the folder."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from helpers.configuration import composed
from helpers.trained import FIT, RULE, learned, write_run
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hiexp.classifiers import CNNClassifier, ConvNet
from hiexp.datasets import mock_cig
from hiexp.errors import InputError
from hiexp.evaluation.scores import score_differences
from hiexp.evaluation.training_sample import line_quantities
from hiexp.fitting import fit_none
from hiexp.run.experiment import predict_sample
from hiexp.run.model_files import save_model
from hiexp.run.prediction import Prediction, TrainedModel
from hiexp.run.summary import _prediction_lines
from hiexp.spectra import UNKNOWN
from hiexp.spectral.widths import asymmetry_class


@pytest.fixture(scope="module")
def sky():
    spectra = mock_cig(n_galaxies=30, seed=2)
    flux = spectra.flux.copy()
    flux[4] = -1.0
    spectra = dataclasses.replace(spectra, flux=flux)
    return spectra, fit_none(spectra, n_samples=20)


@pytest.fixture(scope="module")
def models():
    return [learned(seed=seed) for seed in (1, 2, 3)]


def predicted(folder, sky, spectra=None):
    spectra, fit = spectra or sky[0], sky[1]
    trained = TrainedModel.load(folder, [], "cpu")
    classified = trained.classify(fit.profiles[fit.good], line_quantities(sky[0], fit)[fit.good])
    return Prediction.of(spectra, fit, pd.DataFrame(index=range(fit.good.sum())), trained, classified, 50, 0)


def test_one_row_an_object_with_class_or_reason(tmp_path, sky, models):
    made = predicted(write_run(tmp_path / "run", models[0]), sky)
    table = made.table()
    assert table.columns.tolist() == [
        *("id", "status", "predicted", "yardstick", "probability_0", "probability_1", "probability_2"),
        *("unlike_training", "reference"),
    ]
    assert table["id"].tolist() == sky[0].ids.tolist()
    assert table["status"][4] == "constant flux"
    assert table.loc[4, ["predicted", "probability_0"]].isna().all()
    good = table.drop(index=4)
    expected = models[0][0].predict(sky[1].profiles[sky[1].good])
    assert good["predicted"].tolist() == expected.tolist()
    np.testing.assert_allclose(good.filter(like="probability").sum(axis=1), 1)
    metrics = made.metrics()
    assert (metrics["n_scored"], metrics["accuracy"]) == (29, np.mean(expected == sky[0].reference[sky[1].good]))
    assert metrics["n_class_0"] == (expected == 0).sum()
    assert "low_accuracy" in metrics
    assert "chance_accuracy" in metrics


BESIDE = {"held_against": True, "evaluation": {"yardstick": RULE}}
MEASURED = {"_target_": "hiexp.fitting.measure_data", "_partial_": True, "realisations": 0}


def test_the_rule_of_the_run_is_scored_on_the_same_objects(tmp_path, sky, models):
    made = predicted(write_run(tmp_path / "run", models[0], **BESIDE), sky)
    good = sky[1].good
    truth, ruled = sky[0].reference[good], asymmetry_class(sky[1].table["A_flux"][good].to_numpy())
    table = made.table()
    assert table["yardstick"].isna().tolist() == (~good).tolist()
    assert table["yardstick"][good].tolist() == ruled.tolist()
    metrics = made.metrics()
    assert metrics["yardstick_accuracy"] == pytest.approx((ruled == truth).mean())
    assert metrics["yardstick_balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, ruled))
    assert "low_yardstick_accuracy" in metrics
    for name, difference in score_differences(truth, made.classified.predicted, ruled, 50, 0).items():
        names = (f"{prefix}{name}_minus_yardstick" for prefix in ("", "low_", "high_", "p_"))
        values = difference.mean, difference.low, difference.high, difference.p
        assert [metrics[key] for key in names] == pytest.approx(values)
    lines = _prediction_lines(made, {"n_good": 29, "n_spectra": 30, "n_failed": 1} | metrics)
    place = lines.index("A_flux divided at 1.26 and 1.39, nothing learned")
    assert lines[place - 1].split() == [
        "The",
        "same",
        "objects",
        "by",
        "score",
        "95",
        "%",
        "interval",
        "classifier",
        "minus",
        "that",
        "p",
    ]
    assert lines[place + 1].split()[:3] == ["balanced", "accuracy", f"{metrics['yardstick_balanced_accuracy']:.3f}"]
    assert lines[place + 2].split()[-1] == f"{metrics['p_accuracy_minus_yardstick']:.3f}"


def test_without_reference_classes_the_rule_has_classes_and_no_scores(tmp_path, sky, models):
    folder = write_run(tmp_path / "run", models[0], **BESIDE)
    made = predicted(folder, sky, dataclasses.replace(sky[0], reference=None))
    expected = predicted(folder, sky).table()["yardstick"]
    pd.testing.assert_series_equal(made.table()["yardstick"], expected)
    assert not [name for name in made.metrics() if "yardstick" in name]
    screen = _prediction_lines(made, {"n_good": 29, "n_spectra": 30, "n_failed": 1} | made.metrics())
    assert "nothing learned" not in "\n".join(screen)


def test_of_a_model_of_two_classes_the_rule_divides_midway(tmp_path, sky):
    made = predicted(write_run(tmp_path / "run", learned(classes=(0, 2)), **BESIDE), sky)
    a_flux = sky[1].table["A_flux"][sky[1].good].to_numpy()
    assert made.ruled.tolist() == np.where(a_flux > 1.325, 2, 0).tolist()
    assert made.metrics()["n_scored"] == (sky[0].reference[sky[1].good] != 1).sum()


def test_where_nothing_is_measured_the_rule_has_no_class_and_is_wrong(tmp_path, sky, models):
    table = sky[1].table.copy()
    table.loc[table.index[:3], "A_flux"] = np.nan
    folder = write_run(tmp_path / "run", models[0], **BESIDE)
    made = predicted(folder, (sky[0], dataclasses.replace(sky[1], table=table)))
    assert made.ruled[:3].tolist() == [UNKNOWN] * 3
    assert made.table()["yardstick"].isna().tolist() == [True] * 3 + [False, True] + [False] * 25
    right = made.ruled == sky[0].reference[sky[1].good]
    assert made.metrics()["yardstick_accuracy"] == pytest.approx(right.mean())


def test_a_rule_of_what_is_measured_on_the_data_has_classes_on_other_data(tmp_path, models):
    rule = {"yardstick": RULE | {"column": "A_fr"}}
    folder = write_run(tmp_path / "run", models[0], held_against=True, measurements=MEASURED, evaluation=rule)
    words = [f"run={folder}", "dataset=mock_cig", "dataset.n_galaxies=30", "cache=off", "tracking=none"]
    made = predict_sample(composed(*words, command="predict"), tmp_path / "out", {})
    a_fr = pd.read_parquet(tmp_path / "out" / "fits.parquet")["A_fr"].to_numpy()[made.good]
    measured = np.isfinite(a_fr)
    assert made.ruled[measured].tolist() == asymmetry_class(a_fr[measured]).tolist()
    assert set(made.ruled[~measured]) <= {UNKNOWN}
    assert "yardstick_accuracy" in made.metrics()


@pytest.mark.parametrize(
    "settings",
    [
        BESIDE | {"evaluation": {"yardstick": None}},
        BESIDE | {"evaluation": {}},
        BESIDE | {"held_against": False},  # its classes did not rise with A_flux
        BESIDE | {"labels": {"_target_": "hiexp.labels.ClusterLabels"}},
        BESIDE | {"evaluation": {"yardstick": RULE | {"limits": [1.26, 1.39, 2.0]}}},
        BESIDE | {"evaluation": {"yardstick": RULE | {"column": "A_no_fit_has"}}},
    ],
)
def test_a_rule_that_is_not_about_the_classes_of_the_run_has_none(tmp_path, sky, models, settings):
    made = predicted(write_run(tmp_path / "run", models[0], **settings), sky)
    assert made.table()["yardstick"].isna().all()
    assert not [name for name in made.metrics() if "yardstick" in name]


def test_of_several_folds_the_probabilities_are_averaged(tmp_path, sky, models):
    made = predicted(write_run(tmp_path / "run", *models), sky)
    profiles = sky[1].profiles[sky[1].good]
    mean = np.mean([model.predict_proba(profiles) for model, _ in models], axis=0)
    np.testing.assert_allclose(made.classified.probability, mean)
    assert made.classified.predicted.tolist() == mean.argmax(axis=1).tolist()


def test_of_several_folds_without_probabilities_the_votes_are_counted(tmp_path, sky):
    several = [learned(SVC(), seed) for seed in (1, 2, 3)]
    made = predicted(write_run(tmp_path / "run", *several), sky)
    votes = np.array([model.predict(sky[1].profiles[sky[1].good]) for model, _ in several])
    assert made.classified.probability is None
    assert made.classified.predicted.tolist() == [np.bincount(of_object).argmax() for of_object in votes.T]
    assert not made.table().columns.str.startswith("probability").any()


def test_without_a_training_sample_nothing_is_flagged(tmp_path, sky, models):
    made = predicted(write_run(tmp_path / "run", (models[0][0], None)), sky)
    assert set(made.table()["unlike_training"]) == {"", "not known"}
    assert "n_unlike" not in made.metrics()


def test_objects_trained_on_are_counted(tmp_path, sky):
    made = predicted(write_run(tmp_path / "run", learned(seed=2, n=30)), sky)
    assert made.metrics()["n_seen"] == 29


@pytest.mark.parametrize(
    ("settings", "reference", "n_scored"),
    [
        ({}, None, 0),
        ({"labels": {"_target_": "hiexp.labels.ClusterLabels"}}, np.zeros(30, int), 0),
        ({"labels": None}, np.zeros(30, int), 0),
        ({}, np.full(30, -1), 0),
        ({}, np.where(np.arange(30) < 10, 7, 1), 20),
    ],
)
def test_what_is_scored_is_of_a_reference_class_that_the_model_knows(
    tmp_path, sky, models, settings, reference, n_scored
):
    spectra = dataclasses.replace(sky[0], reference=reference)
    made = predicted(write_run(tmp_path / "run", models[0], **settings), sky, spectra)
    assert made.metrics().get("n_scored", 0) == n_scored
    assert (made.scores is None) == (n_scored == 0)


def test_profiles_of_another_length_are_refused_with_the_reason(tmp_path, models):
    trained = TrainedModel.load(write_run(tmp_path / "run", models[0]), [], "cpu")
    with pytest.raises(InputError, match=r"profiles of 30 samples .* was trained on 20: .*n_samples"):
        trained.classify(np.zeros((2, 30)), pd.DataFrame())


@pytest.mark.parametrize("n_samples", [30, 10**12])
def test_settings_that_are_not_the_models_are_refused_before_a_fit(tmp_path, models, n_samples):
    folder = write_run(tmp_path / "run", models[0], fit=FIT | {"n_samples": n_samples})
    with pytest.raises(InputError, match=rf"profiles of {n_samples} samples .* was trained on 20"):
        TrainedModel.load(folder, [], "cpu")


def test_the_device_is_that_of_the_command(tmp_path, models):
    network = CNNClassifier(ConvNet(filters=[2], dense=4), epochs=1, device="cpu")
    folder = write_run(
        tmp_path / "run", learned(network), fit=FIT | {"_target_": "hiexp.fitting.fit_busy", "device": "cpu"}
    )
    trained = TrainedModel.load(folder, [], "auto")
    assert trained.fit["device"] == trained.models[0]["classifier"].device == "auto"


@pytest.mark.parametrize(
    "steps",
    [
        lambda model: [("feature", model["feature"])],
        lambda model: [("first", model["feature"]), ("classifier", model["classifier"])],
        lambda model: [
            ("feature", model["feature"]),
            ("more", StandardScaler()),
            ("classifier", model["classifier"]),
        ],
    ],
)
def test_a_model_of_other_parts_is_refused(tmp_path, models, steps):
    folder = write_run(tmp_path / "run", models[0])
    save_model(Pipeline(steps(models[0][0])), folder / "model")
    with pytest.raises(InputError, match="a run has a feature, and a classifier"):
        TrainedModel.load(folder, [], "cpu")


def test_classes_that_are_no_numbers_are_refused(tmp_path):
    folder = write_run(tmp_path / "run", learned())
    model, _ = learned()
    model["classifier"].classes_ = np.array(["a", "b", "c"])
    save_model(model, folder / "model")
    with pytest.raises(InputError, match="a classifier of whole numbers"):
        TrainedModel.load(folder, [], "cpu")


class Stranger(StandardScaler):
    n_features_in_ = 20


def test_what_a_model_or_fit_names_has_to_be_vouched_for(tmp_path, models):
    folder = write_run(tmp_path / "run", models[0], fit=FIT | {"_target_": "os.system", "command": "true"})
    with pytest.raises(InputError, match=r"os\.system.*trust=\[os\.system\]"):
        TrainedModel.load(folder, [], "cpu")
    folder = write_run(tmp_path / "other", models[0])
    stranger = Stranger().fit(np.eye(20))
    save_model(Pipeline([("feature", stranger), ("classifier", models[0][0]["classifier"])]), folder / "model")
    name = f"{Stranger.__module__}.Stranger"
    with pytest.raises(InputError, match=rf"trust=\[{name}\]"):
        TrainedModel.load(folder, [], "cpu")
    assert isinstance(TrainedModel.load(folder, [name], "cpu").models[0]["feature"], Stranger)


def test_objects_without_a_fit_are_rows_with_the_reason_and_other_channels_are_resampled(tmp_path, models):
    write_run(tmp_path / "one", models[0])
    velocity = np.arange(300) * 11.0 + 4000
    flux = np.random.default_rng(0).normal(size=(6, 300))
    flux += 30 * np.exp(-0.5 * ((velocity - 5500) / 120) ** 2)
    flux[2] = -1.0
    np.savez(tmp_path / "some.npz", flux=flux, velocity=velocity, rms=np.ones(6))
    words = [f"run={tmp_path / 'one'}", "dataset=arrays", f"dataset.path={tmp_path / 'some.npz'}", "cache=off"]
    metrics = {}
    made = predict_sample(composed(*words, "tracking=none", command="predict"), tmp_path / "out", metrics)
    made.write(tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table["status"].tolist() == ["ok", "ok", "constant flux", "ok", "ok", "ok"]
    assert table["predicted"].isna().tolist() == [False, False, True, False, False, False]
    assert table["unlike_training"].str.contains("channel width above").sum() == 5
    assert "reference" not in table
    screen = "\n".join(_prediction_lines(made, metrics | made.metrics()))
    assert "5 of 6 spectra classified" in screen
    assert "1 without a class: its spectrum has no fit" in screen
    assert "      1  constant flux" in screen
    assert "no reference classes, so there are no scores" in screen


def write_text_spectra(folder, *fluxes):
    folder.mkdir()
    velocity = np.arange(300) * 11.0 + 4000
    for number, flux in enumerate(fluxes):
        columns = np.column_stack([velocity, flux])
        np.savetxt(folder / f"spectrum{number}.txt", columns, header="velocity[km/s] flux[mJy]")
    return [f"dataset.path={folder}", "dataset=spectra", "dataset.convention=optical"]


def test_what_could_not_be_read_is_a_row_with_the_reason(tmp_path, models):
    write_run(tmp_path / "one", models[0])
    noise = np.random.default_rng(0).normal(size=300)
    line = 30 * np.exp(-0.5 * ((np.arange(300) - 140) / 11) ** 2)
    words = write_text_spectra(tmp_path / "some", noise + line, np.zeros(300))
    cfg = composed(f"run={tmp_path / 'one'}", *words, "cache=off", "tracking=none", command="predict")
    made = predict_sample(cfg, tmp_path / "out", metrics := {})
    table = made.table()
    assert table["id"].tolist() == ["spectrum0", "spectrum1.txt"]
    assert table["status"][0] == "ok"
    assert table["status"][1].startswith("could not be read: constant flux")
    assert table["predicted"].isna().tolist() == [False, True]
    assert "1 could not be read (column status)" in _prediction_lines(made, metrics | made.metrics())


def test_where_no_spectrum_has_a_fit_all_reasons_are_written_before_the_end(tmp_path, models):
    write_run(tmp_path / "one", models[0])
    np.savez(tmp_path / "flat.npz", flux=-np.ones((3, 300)), velocity=np.arange(300) * 11.0 + 4000, rms=np.ones(3))
    words = [f"run={tmp_path / 'one'}", "dataset=arrays", f"dataset.path={tmp_path / 'flat.npz'}", "cache=off"]
    out = tmp_path / "out"
    made = predict_sample(composed(*words, "tracking=none", command="predict"), out, metrics := {})
    assert (metrics | made.metrics())["n_good"] == 0
    with pytest.raises(InputError, match=r"none of the 3 spectra .* constant flux; predictions\.csv has the reason"):
        made.write(out)
    table = pd.read_csv(out / "predictions.csv")
    assert table["status"].tolist() == ["constant flux"] * 3
    assert table["predicted"].isna().all()


@pytest.mark.parametrize(
    "settings",
    [
        {"fit": FIT | {"n_samples": {"_target_": "os.mkdir", "path": "{mark}"}}},
        {"fit": {"_target_": "os.mkdir", "path": "{mark}"}},
        {"fit": FIT | {"n_samples": "${oc.env:HOME}"}},
        {"measurements": {"_target_": "os.mkdir", "path": "{mark}"}},
        {"measurements": MEASURED | {"fit": {"_target_": "os.mkdir", "path": "{mark}"}}},
        {"measurements": MEASURED | {"fit": 1}},
        {"evaluation": {"yardstick": {"_target_": "os.mkdir", "path": "{mark}"}}},
        {"evaluation": {"yardstick": RULE | {"column": {"_target_": "os.mkdir", "path": "{mark}"}}}},
        {"evaluation": {"yardstick": RULE | {"column": "${oc.env:HOME}"}}},
        {"evaluation": {"yardstick": RULE | {"_args_": ["{mark}"]}}},
        {"evaluation": {"yardstick": RULE | {"limits": "1.26"}}},
        {"evaluation": {"yardstick": "A_flux"}},
    ],
)
def test_a_hostile_run_is_refused_before_anything_is_read_or_written(tmp_path, models, settings):
    mark = tmp_path / "mark"
    settings = json.loads(json.dumps(settings).replace("{mark}", str(mark)))
    write_run(tmp_path / "gift", models[0], held_against=True, **settings)
    cfg = composed(f"run={tmp_path / 'gift'}", "dataset=mock_cig", "tracking=none", "cache=off", command="predict")
    with pytest.raises(InputError, match=r"config\.yaml"):
        predict_sample(cfg, tmp_path / "out", {})
    assert not mark.exists()
    assert not (tmp_path / "out").exists()
