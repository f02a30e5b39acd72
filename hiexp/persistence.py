"""Trained models on disk, without pickle.

A model is a scikit-learn pipeline. It is stored by skops; the weights of any step that has a torch module as
``network_`` go into safetensors files beside it, and that step builds its module anew when the model is loaded.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import skops.io
from sklearn.pipeline import Pipeline

from hiexp.errors import InputError

PIPELINE_FILE = "pipeline.skops"
# The trees of forests and of gradient boosting: a forged one can crash the interpreter, which is why skops asks, but
# not run code.
HARMLESS = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor")


def save_model(model: Pipeline, folder: Path) -> None:
    """Write a fitted pipeline into `folder`.

    Raises
    ------
    skops.io.exceptions.UnsupportedTypeException
        If a step holds something that cannot be stored without pickle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bare = copy.copy(model)
    bare.steps = [(name, _store_network(step, folder / f"{name}.safetensors")) for name, step in model.steps]
    skops.io.dump(bare, folder / PIPELINE_FILE)


def load_model(folder: str | Path, trusted: Sequence[str] = ()) -> Pipeline:
    """Read a pipeline that `save_model` wrote.

    Parameters
    ----------
    folder : path
        The folder ``model`` of a run.
    trusted : sequence of str
        Types beyond those of scikit-learn, numpy and this package that may be built from the file.

    Returns
    -------
    Pipeline
        Takes profiles, shape (N, n_samples), as the run's fit stage returned them.

    Raises
    ------
    InputError
        If the folder holds no model, or one with types that nobody vouched for.
    """
    folder = Path(folder)
    file = folder / PIPELINE_FILE
    if not file.is_file():
        raise InputError(f"{folder}: no {PIPELINE_FILE} in this folder; give the folder `model` of a run")
    unknown = skops.io.get_untrusted_types(file=file)
    own = [name for name in unknown if name.startswith("hiexp.") or name in HARMLESS]
    foreign = sorted(set(unknown) - set(own) - set(trusted))
    if foreign:
        raise InputError(
            f"{file} holds types that are not trusted by default: {', '.join(foreign)}; "
            f"if you know where the file comes from, load_model(folder, trusted={foreign})"
        )
    model = skops.io.load(file, trusted=[*own, *trusted])
    for name, step in model.steps:
        weights = folder / f"{name}.safetensors"
        if weights.is_file():
            from safetensors.torch import load_model as load_weights

            step.network_ = step.build_network()
            load_weights(step.network_, weights)
    return model


def _store_network(step: object, file: Path) -> object:
    """Write the step's network, where it has one, and return the step without it."""
    if not hasattr(step, "network_"):
        return step
    from safetensors.torch import save_model as save_weights

    save_weights(step.network_, file)
    bare = copy.copy(step)
    del bare.network_
    return bare
