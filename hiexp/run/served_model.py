"""A run's model as MLflow knows models: the files that describe it, and what MLflow calls to load and use it.

Fit and feature are part of it: it takes spectra, not profiles.
"""

from __future__ import annotations

import json
import os
import platform
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from hiexp.errors import InputError
from hiexp.run.allowed import TRUST
from hiexp.run.files import CONFIG_FILE, MODEL_FOLDER
from hiexp.run.reading import read_config

if TYPE_CHECKING:
    from hiexp.datasets.stacking import Channels
    from hiexp.run.prediction import TrainedModel
    from hiexp.spectra import Spectra

DESCRIPTION, EXAMPLE = "MLmodel", "input_example.json"  # MLflow's names
READ = ("fit", "measurements", "labels")  # of the settings of a run
INPUTS = [
    {"name": "velocity", "type": "any", "required": True},  # an array of numbers, whole ones too
    {"name": "flux", "type": "any", "required": True},
    {"name": "rms", "type": "double", "required": False},
]
LEFT_OUT = ("id", "yardstick")  # of a table of predictions: what the model itself does not say


def describe_model(folder: Path, classes: Iterable[int], *, probabilities: bool) -> None:
    """Write what makes the model in a run's folder one of MLflow's: what it takes, returns and needs, an example.

    Parameters
    ----------
    folder : Path
        The run's; nothing is written where it has no model.
    classes : iterable of int
        Classes that the model knows.
    probabilities : bool
        Whether it tells the probability of each.
    """
    model = folder / MODEL_FOLDER
    if not model.is_dir():
        return
    settings = read_config(folder / CONFIG_FILE)
    (model / CONFIG_FILE).write_text(yaml.safe_dump({key: settings.get(key) for key in READ}, sort_keys=False))
    shares = [f"probability_{name}" for name in classes] if probabilities else []
    kinds = {"status": "string", "predicted": "long", **dict.fromkeys(shares, "double"), "unlike_training": "string"}
    outputs = [{"name": name, "type": kind, "required": name == "status"} for name, kind in kinds.items()]
    needs = requirements()
    python = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    (model / "requirements.txt").write_text("\n".join(needs) + "\n")
    (model / "python_env.yaml").write_text(yaml.safe_dump(python))
    (model / EXAMPLE).write_text(json.dumps({"columns": ["velocity", "flux"], "data": [example()]}))
    description = {
        "artifact_path": MODEL_FOLDER,
        "flavors": {
            "python_function": {
                "loader_module": __name__,
                "data": ".",
                "config": {"device": "cpu"},
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": platform.python_version(),
            }
        },
        "mlflow_version": version("mlflow"),
        "model_uuid": uuid.uuid4().hex,
        "saved_input_example_info": {
            "artifact_path": EXAMPLE,
            "pandas_orient": "split",
            "type": "dataframe",
        },
        "signature": {"inputs": json.dumps(INPUTS), "outputs": json.dumps(outputs), "params": None},
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    (model / DESCRIPTION).write_text(yaml.safe_dump(description, sort_keys=False))


@cache
def requirements() -> list[str]:
    """Return this package and what it needs, each at the version that is installed."""
    names = [re.split(r"[\s;<>=!~\[]", line)[0] for line in requires("hiexp") or [] if "extra ==" not in line]
    pinned = []
    for name in ["hiexp", *sorted(names)]:
        try:
            pinned.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # of another system
            continue
    return pinned


def example() -> list[list[float]]:
    """Return velocities, km/s, and flux, mJy, of a made-up line of two horns in noise of 1 mJy."""
    velocity = np.arange(4500.0, 5500.0, 5.0)
    across = (velocity - 5000.0) / 120.0
    inside = np.abs(across) < 1.0
    flux = np.random.default_rng(0).normal(0.0, 1.0, velocity.size) + np.where(inside, 15.0 + 15.0 * across**4, 0.0)
    return [velocity.tolist(), flux.round(3).tolist()]


def _load_pyfunc(path: str, model_config: Mapping[str, Any] | None = None) -> ServedModel:
    """Load a model for MLflow: the name and the arguments are its own."""
    from hiexp.run.prediction import TrainedModel

    # Not from the model's own folder, which may come from a stranger.
    trusted = [name.strip() for name in os.environ.get(TRUST, "").split(",") if name.strip()]
    device = dict(model_config or {}).get("device", "cpu")
    model = Path(path)
    return ServedModel(TrainedModel.read(model / CONFIG_FILE, model, trusted, device))


@dataclass(frozen=True)
class ServedModel:
    """A trained model that takes spectra.

    Attributes
    ----------
    trained : TrainedModel
        Settings of the fit, feature and classifier.
    """

    trained: TrainedModel

    def predict(self, data: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return class, class probabilities and status of spectra.

        Parameters
        ----------
        data : DataFrame, N rows
            ``velocity``, km/s, and ``flux``, mJy: an array a row, of any length; NaN where there is no flux. ``rms``,
            the noise of a channel, mJy, is measured where it is not given.
        params : mapping, optional
            Not used.

        Returns
        -------
        DataFrame, N rows
            ``status``, "ok" or why there is no class, ``predicted``, ``probability_C`` of each class C where the
            classifier has them, and ``unlike_training``, what of an object is unlike those trained on.
        """
        from hiexp.run.experiment import fitted, predict_fitted

        spectra, reasons = spectra_of(data)
        rows = pd.DataFrame({"status": reasons}, index=data.index)
        if not len(spectra):
            names = [f"probability_{name}" for name in self.trained.classes]
            shares = names if all(hasattr(model[-1], "predict_proba") for model in self.trained.models) else []
            empty = {name: pd.array([None] * len(rows), dtype="Float64") for name in shares}
            return rows.assign(predicted=pd.array([None] * len(rows), dtype="Int64"), **empty, unlike_training="")
        fit = fitted(self.trained.fit, self.trained.measurements, spectra)
        table = predict_fitted(self.trained, spectra, fit, [], 0, 0, {}).table().drop(columns=[*LEFT_OUT])
        table.index = data.index[reasons == "ok"]
        shares = [name for name in table if name.startswith("probability_")]
        table = table.astype(dict.fromkeys(shares, "Float64")).reindex(data.index)  # NaN is no JSON
        return table.assign(
            status=table["status"].fillna(rows["status"]), unlike_training=table["unlike_training"].fillna("")
        )


def spectra_of(data: pd.DataFrame) -> tuple[Spectra, np.ndarray]:
    """Return the spectra of a table that can be used, and of each of its rows "ok" or what is wrong with it.

    Raises
    ------
    InputError
        If a column is missing.
    """
    from hiexp.datasets.stacking import stack
    from hiexp.spectra import Spectra

    missing = [name for name in ("velocity", "flux") if name not in data]
    if missing:
        raise InputError(f"{missing[0]}: no such column; give velocity (km/s) and flux (mJy), an array a row")
    noise = data["rms"] if "rms" in data else [None] * len(data)
    found: list[Channels] = []
    reasons = []
    for velocity, flux, rms in zip(data["velocity"], data["flux"], noise, strict=True):
        try:
            found.append(_channels(velocity, flux, rms))
            reasons.append("ok")
        except InputError as error:
            reasons.append(str(error))
    longest = max((one.velocity.size for one in found), default=0)
    ids = data.index[np.array(reasons) == "ok"].astype(str).to_numpy()
    spectra = Spectra(
        ids=ids,
        **stack(found, (len(found), longest))._asdict(),
        catalogue=pd.DataFrame(index=pd.Index(ids, name="id")),
        systemic=np.full(len(found), np.nan),
    )
    return spectra, np.array(reasons, dtype=object)


def _channels(velocity: object, flux: object, rms: object) -> Channels:
    from hiexp.datasets.cleaning import clean

    axis, values = _array("velocity", velocity), _array("flux", flux)
    if axis.size != values.size:
        raise InputError(f"{axis.size} velocities and {values.size} fluxes; give one for each channel")
    channels = clean(axis, values, np.isfinite(values), unit_known=True)
    if rms is None or pd.isna(rms):
        return channels
    if not (isinstance(rms, int | float | np.number) and 0 < float(rms) < np.inf):
        raise InputError(f"rms={rms}: give the noise of a channel in mJy, above 0, or leave it out")
    return channels._replace(rms=float(rms))


def _array(name: str, values: object) -> np.ndarray:
    """Return the numbers of one spectrum, shape (M,), NaN where there is none."""
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: give an array of numbers ({error})") from error
    if array.ndim != 1 or array.size < 2:
        raise InputError(f"{name}: give an array of numbers, one a channel; this has the shape {array.shape}")
    return array
