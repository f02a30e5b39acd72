"""A sweep on disk whose best run has objects to look at."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from hiexp.csv_tables import write_csv
from hiexp.datasets import mock_cig
from hiexp.evaluation.training_sample import TrainingSample, line_quantities
from hiexp.features import DiscImage
from hiexp.fitting import fit_none
from hiexp.run.compact import PLACES_FILE, FeaturePlaces
from hiexp.run.sample import write_sample

from .sweeps import metrics, write_sweep

HOSTILE = "</script><img src=x onerror=alert(1)>"


def write_explored(folder: Path, n: int = 40) -> Path:
    """Write a sweep of two jobs, the first and best with the lines of `n` galaxies, one of which has a hostile id."""
    write_sweep(folder, {"model": ["simple", "medium"]}, {0: {"n_test": n // 2}})
    job, made = folder / "0", folder / "made"
    spectra = mock_cig(n_galaxies=n, seed=3)
    ids = np.array([HOSTILE, *(f"CIG{number:04d}" for number in range(1, n))])
    spectra = replace(spectra, ids=ids, catalogue=spectra.catalogue.set_axis(pd.Index(ids, name="id")))
    fit = fit_none(spectra, n_samples=100)
    fit = replace(fit, table=fit.table.set_axis(pd.Index(ids, name="id")))
    made.mkdir()
    write_sample(spectra, fit, made)
    shutil.copytree(made, job, dirs_exist_ok=True)
    shutil.rmtree(made)
    good = np.flatnonzero(fit.good)
    table = pd.DataFrame(
        {
            "id": ids[good],
            "split": np.where(np.arange(good.size) < good.size - n // 2, "train", "test"),
            "reference": spectra.reference[good],
            "label": spectra.reference[good],
            "predicted": np.roll(spectra.reference[good], 1),
            "probability_0": np.linspace(0, 1, good.size),
        }
    )
    write_csv(table, job / "predictions.csv")
    values = DiscImage(size=16).fit_transform(fit.profiles[good])
    sample = TrainingSample.of(values, line_quantities(spectra, fit).iloc[good])
    FeaturePlaces.of(ids[good], values, sample).write(job / PLACES_FILE)
    (job / "metrics.json").write_text(json.dumps(metrics(0) | {"n_test": n // 2}))
    return folder
