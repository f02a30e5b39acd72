"""A trained run as it leaves itself on disk, without the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from hiexp.datasets import mock_cig
from hiexp.evaluation.training_sample import TRAINING_FILE, TrainingSample, line_quantities
from hiexp.features import RawProfile
from hiexp.fitting import fit_none
from hiexp.run.files import CONFIG_FILE, METRICS_FILE, MODEL_FOLDER
from hiexp.run.model_files import save_model
from hiexp.run.pipeline import extract, learn

FIT = {"_target_": "hiexp.fitting.fit_none", "_partial_": True, "n_samples": 20}
SETTINGS = {
    "dataset": {"_target_": "my_own.dataset", "_partial_": True},  # which a prediction has no need of
    "fit": FIT,
    "labels": {"_target_": "hiexp.labels.ReferenceLabels", "n_classes": 3},
    "classifier": {"_target_": "sklearn.ensemble.RandomForestClassifier"},
}
RULE = {"_target_": "hiexp.evaluation.yardstick.Thresholds", "column": "A_flux", "limits": [1.26, 1.39]}


def learned(
    classifier: object | None = None, seed: int = 1, n: int = 60, classes: tuple[int, ...] = (0, 1, 2)
) -> tuple[Pipeline, TrainingSample]:
    """Return a model of a few galaxies of some classes, and what it was trained on."""
    spectra = mock_cig(n_galaxies=n, seed=seed)
    fit = fit_none(spectra, n_samples=20)
    rows = np.flatnonzero(fit.good & np.isin(spectra.reference, classes))
    features = extract(RawProfile(), fit.profiles, rows, spectra.reference)
    classifier = classifier or RandomForestClassifier(5, random_state=0)
    model = learn(features, classifier, rows, spectra.reference)
    return model, TrainingSample.of(features.values[rows], line_quantities(spectra, fit).iloc[rows])


def write_run(
    folder: Path, *models: tuple[Pipeline, TrainingSample | None], held_against: bool = False, **settings: object
) -> Path:
    """Write the folder of a run, of several models one of several folds; `settings` go before the usual ones.

    A run that was `held_against` a yardstick has the score of that.
    """
    for number, (model, sample) in enumerate(models, start=1):
        place = folder / MODEL_FOLDER / (f"fold_{number}" if len(models) > 1 else "")
        save_model(model, place)
        if sample is not None:
            sample.save(place / TRAINING_FILE)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(yaml.safe_dump(SETTINGS | settings))
    (folder / METRICS_FILE).write_text(
        json.dumps({"success_rate": 0.5} | ({"yardstick_accuracy": 0.6} if held_against else {}))
    )
    return folder
