"""Models of runs in MLflow's own list of models, and in its registry."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

MODEL_FOLDER, DESCRIPTION = "model", "MLmodel"  # in a run's folder
OWN_ID = "model_id: "  # the last line of a description that MLflow has
REGISTER_TAG = "register"  # of a run whose model is to be registered: the name


def is_model(folder: Path) -> bool:
    """Return whether a folder holds a model as MLflow knows them."""
    return (folder / DESCRIPTION).is_file()


def model_of(run: Run) -> str | None:
    """Return MLflow's id of the model that a run has made."""
    made = run.outputs.model_outputs if run.outputs else []
    return made[0].model_id if made else None


def log_model(client: MlflowClient, run: Run, model: Path) -> str:
    """Send the model in a folder as what a run has made, unless it is there; return MLflow's id of it."""
    from mlflow.entities import LoggedModelOutput

    known = model_of(run)
    if known is not None:
        return known
    chosen = {key: value for key, value in run.data.params.items() if "." not in key}
    made = client.create_logged_model(
        run.info.experiment_id, MODEL_FOLDER, run.info.run_id, params=chosen, model_type="classifier"
    )
    client.log_model_artifacts(made.model_id, str(model))
    with tempfile.TemporaryDirectory() as empty:  # which model it is, is known only now
        named = Path(empty, DESCRIPTION)
        named.write_text(f"{(model / DESCRIPTION).read_text()}{OWN_ID}{made.model_id}\n")
        client.log_model_artifact(made.model_id, str(named))
    client.finalize_logged_model(made.model_id, "READY")
    client.log_outputs(run.info.run_id, [LoggedModelOutput(made.model_id, 0)])
    return made.model_id


def fetch_model(client: MlflowClient, run: Run, folder: Path) -> None:
    """Copy the model of a run, where it has one, into a folder, as it was before it was sent."""
    model_id = model_of(run)
    if model_id is None:
        return
    from mlflow.artifacts import download_artifacts

    place = client.get_logged_model(model_id).artifact_location
    with tempfile.TemporaryDirectory() as empty:
        found = download_artifacts(artifact_uri=place, dst_path=empty, tracking_uri=client.tracking_uri)
        shutil.copytree(found, folder / MODEL_FOLDER, dirs_exist_ok=True)
    description = folder / MODEL_FOLDER / DESCRIPTION
    lines = description.read_text().splitlines(keepends=True)
    description.write_text("".join(line for line in lines if not line.startswith(OWN_ID)))


def register(client: MlflowClient, name: str, run: Run, description: str) -> ModelVersion | None:
    """Register the model of a run under a name, unless a version of it has this model; None where it has none."""
    from mlflow.exceptions import MlflowException

    model_id = model_of(run)
    if model_id is None:
        return None
    try:
        client.create_registered_model(name)
    except MlflowException:  # it is there
        client.get_registered_model(name)
    source = client.get_logged_model(model_id).artifact_location
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.model_id == model_id:
            return version
    return client.create_model_version(
        name, source, run.info.run_id, description=description, model_id=model_id, await_creation_for=0
    )
