"""Trained models on disk, without pickle, and the runs that they belong to.

A model is a scikit-learn pipeline. It is stored by skops; the weights of any step that has a torch module as
``network_`` go into safetensors files beside it, and that step builds its module anew when the model is loaded.

A model may come from a stranger: only the classes in `hiexp.run.allowed` are built, and what they hold is checked
before it is used.
"""

from __future__ import annotations

import copy
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError
from sklearn.pipeline import Pipeline

from hiexp.epochs import training_history
from hiexp.errors import InputError
from hiexp.long_tables import written_table
from hiexp.printable import printable
from hiexp.run.allowed import CURVES, DATASETS, ESTIMATORS, FITS, MEASURERS, RULES, TREES, TRUST
from hiexp.run.files import (
    CONFIG_FILE,
    FITS_FILE,
    METRICS_FILE,
    MODEL_FOLDER,
    PIPELINE_FILE,
    PREDICTIONS_FILE,
    fold_folders,
)
from hiexp.run.reading import read_config, read_fits, read_metrics, read_prediction_table, read_predictions
from hiexp.run.skops_files import NotPlainError, dump_plain

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table
    from matplotlib.figure import Figure

    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

MOST_BYTES = 8 << 30  # of a pipeline unpacked
TARGET = "_target_"
CODE_KEYS = (TARGET, "function", "with_derivatives", "compiled")  # settings that name something to call
Stage = Literal["dataset", "fit", "measurements", "yardstick"]
STAGES: tuple[Stage, ...] = ("dataset", "fit")
GIVEN: Mapping[Stage, tuple[str, ...]] = {
    "dataset": (),
    "fit": ("spectra",),
    "measurements": ("spectra", "fit"),
    "yardstick": (),
}
LINE_FIT = "line_fit"  # of a dataset: the one setting of a stage that is a stage itself
OF_SCIKIT_LEARN = {"n_features_in_": int, "feature_names_in_": np.ndarray, "_sklearn_version": str}
LEAF = -1


@dataclass(frozen=True)
class TrainedRun:
    """What a run was made of, to be used on its own spectra or on others, and what came out.

    Attributes
    ----------
    folder : Path
        The run's.
    settings : mapping
        The run's ``config.yaml``.
    dataset : callable
        Returns the `Spectra` of the run, read or computed again.
    fit : callable
        From `Spectra` to a `FitResult`, whose ``profiles`` the model takes.
    models : sequence of Pipeline
        Feature and classifier, one pipeline; with ``evaluation=kfold`` one of each fold.
    """

    folder: Path
    settings: Mapping[str, object]
    dataset: Callable[[], Spectra]
    fit: Callable[[Spectra], FitResult]
    models: Sequence[Pipeline]

    @property
    def model(self) -> Pipeline:
        """The run's only model.

        Raises
        ------
        InputError
            If there is one of each fold.
        """
        if len(self.models) > 1:
            raise InputError(
                f"{self.folder}: it has a model of each of {len(self.models)} folds; take one of run.models, "
                "or the mean of all by python -m hiexp.predict"
            )
        return self.models[0]

    @property
    def metrics(self) -> dict[str, float]:
        """The run's numbers by name."""
        return read_metrics(self.folder / METRICS_FILE)

    def predictions(self) -> pd.DataFrame:
        """Return the run's ``predictions.csv``; classes are whole numbers, NA where there is none."""
        return read_prediction_table(written_table(self.folder / PREDICTIONS_FILE), self.metrics.get("n_test"))

    def fits(self) -> Table:
        """Return the run's table of fits with the unit of every column that has one."""
        return read_fits(self.folder / FITS_FILE)

    def confusion_figure(self) -> Figure:
        """Draw the confusion matrix of the objects held out, of several repeats the first.

        True are the reference classes; where the dataset has none, what the clusterer has found.

        Raises
        ------
        InputError
            If there is no object held out whose true class is known.
        """
        from sklearn.metrics import confusion_matrix

        from hiexp.plots import plot_confusion

        file = written_table(self.folder / PREDICTIONS_FILE)
        table = read_predictions(file, n_test=self.metrics.get("n_test"))
        has_reference = not np.isnan(table["reference"]).all()
        truth, predicted = table["reference" if has_reference else "label"], table["predicted"]
        known = (table["split"] == "test") & ~np.isnan(truth)
        if not known.any():
            raise InputError(f"{file}: it has held out no object of a known class, so there is no confusion matrix")
        classes = np.union1d(truth[known], predicted[known]).astype(int)
        first = known & (table["repeat"] == 1) if "repeat" in table else known
        counts = confusion_matrix(truth[first].astype(int), predicted[first].astype(int), labels=classes)
        return plot_confusion(counts, classes, "reference" if has_reference else "clusterer")

    def training_figure(self) -> Figure:
        """Draw what feature and classifier recorded an epoch of their training.

        Raises
        ------
        InputError
            If they are trained without epochs.
        """
        from hiexp.plots import plot_training

        history = training_history(self.model)
        if not history:
            raise InputError(f"{self.folder}: its model was trained without epochs; a network has a training curve")
        return plot_training(history)


def load_run(folder: str | Path, trusted: Sequence[str] = ()) -> TrainedRun:
    """Load a trained run without running anything that a stranger may have put into its folder.

    Parameters
    ----------
    folder : path
        A run's folder.
    trusted : sequence of str
        Dotted names, beyond those in `hiexp.run.allowed`, of classes and functions that it may name.

    Raises
    ------
    InputError
        If settings or model are missing or damaged, or name what is neither allowed nor trusted.
    """
    from hydra.utils import instantiate

    file = Path(folder) / CONFIG_FILE
    settings, model = read_config(file), Path(folder) / MODEL_FOLDER
    dataset, fit = (checked_stage(file, settings, stage, trusted) for stage in STAGES)
    if "cache" in dataset:
        dataset["cache"] = None  # a place on the machine where the run was made
    return TrainedRun(
        Path(folder),
        settings,
        instantiate(dataset, _convert_="all"),
        instantiate(fit, _convert_="all"),
        [load_model(one, trusted) for one in fold_folders(model) or [model]],
    )


def checked_stage(
    file: Path, settings: Mapping[str, object], stage: Stage, trusted: Sequence[str] = ()
) -> dict[str, object]:
    """Return a run's settings of a stage, once all that they name is known to be harmless.

    Parameters
    ----------
    file : Path
        Where they stand, for messages.
    settings : mapping
        A ``config.yaml``, resolved; of a yardstick the part ``evaluation``.
    stage : {"dataset", "fit", "measurements", "yardstick"}
        Key of the settings that call something.
    trusted : sequence of str
        Dotted names, beyond those in `hiexp.run.allowed`, that it may have.

    Raises
    ------
    InputError
        If there is no such stage, or it names what is neither allowed nor trusted, or sets what its function does not
        take.
    """
    from hiexp.run.settings import check_member

    node = settings.get(stage)
    if not isinstance(node, dict) or TARGET not in node:
        raise InputError(f"{file}: it has no {stage} with a _target_; give a run's folder")
    fits = {}
    if stage == "dataset" and isinstance(node.get(LINE_FIT), dict):
        fits = {LINE_FIT: checked_stage(file, {"fit": node[LINE_FIT]}, "fit", trusted)}
    _check_names(file, stage, {key: value for key, value in node.items() if key not in fits}, trusted)
    for given in GIVEN[stage]:
        if given in node:
            raise InputError(f"{file}: {stage}.{given} is what it is called with, and no setting")
    node = {**node, **fits, "_partial_": stage != "yardstick"}
    check_member(f"{file}: {stage}", node)
    return node


def _check_names(file: Path, stage: Stage, node: dict[str, object], trusted: Sequence[str]) -> None:
    """Raise an `InputError` where a stage would have Hydra call, or resolve, what nobody has looked at."""
    allowed = {"dataset": DATASETS, "fit": FITS, "measurements": MEASURERS, "yardstick": RULES}[stage]
    entries = list(_entries(node))
    foreign = set()
    for depth, key, value in entries:
        if key in CODE_KEYS and value is not None:
            known = CURVES if key != TARGET else allowed if depth == 0 else frozenset()
            if not isinstance(value, str) or (value not in known and value not in trusted):
                foreign.add(printable(str(value)))
    if foreign:
        names = sorted(foreign)
        raise InputError(
            f"{file} names what is not trusted by default: {', '.join(names)}; if you know where the run comes from, "
            f"load_run(folder, trusted={names}), {_elsewhere(names)}"
        )
    for _, key, value in entries:
        if re.fullmatch("_.*_", key) and key != TARGET and not (key == "_partial_" and isinstance(value, bool)):
            raise InputError(f"{file}: {stage} has {printable(key)}, by which Hydra would do what no run asks for")
        if "${" in key or (isinstance(value, str) and "${" in value):
            raise InputError(
                f"{file}: a value holds '${{', which a run writes resolved; settings by hand are not read"
            )


def _elsewhere(names: Sequence[str]) -> str:
    """Say how names are trusted beyond Python."""
    listed = ",".join(names)
    return f"on the command line  'trust=[{listed}]', or for MLflow  export {TRUST}={listed}"


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
    try:
        dump_plain(bare, folder / PIPELINE_FILE)
    except NotPlainError:
        import skops.io  # and with it all of scikit-learn, which takes seconds

        skops.io.dump(bare, folder / PIPELINE_FILE)


def load_model(folder: str | Path, trusted: Sequence[str] = ()) -> Pipeline:
    """Read a pipeline that `save_model` wrote.

    Parameters
    ----------
    folder : path
        The folder ``model`` of a run.
    trusted : sequence of str
        Types beyond those of `hiexp.run.allowed`, scikit-learn and NumPy that may be built from the file.

    Returns
    -------
    Pipeline
        Takes profiles, shape (N, n_samples), as the run's fit stage returned them.

    Raises
    ------
    InputError
        If the folder holds no model, a damaged one, or one with types that nobody vouched for; or if what its parts
        hold is not what such parts hold, weights of a network that do not fit it for example.
    """
    import skops.io  # and with it all of scikit-learn, which takes seconds

    folder = Path(folder)
    file = folder / PIPELINE_FILE
    if not file.is_file():
        raise InputError(f"{folder}: no {PIPELINE_FILE} in this folder; give the folder `model` of a run")
    try:
        with zipfile.ZipFile(file) as packed:
            if sum(member.file_size for member in packed.infolist()) > MOST_BYTES:
                raise InputError(f"{file}: more than {MOST_BYTES >> 30} GiB unpacked; no model of this package is")
        unknown = set(skops.io.get_untrusted_types(file=file))
        foreign = sorted(unknown - ESTIMATORS - TREES - set(trusted))
        if foreign:
            raise InputError(
                f"{file} holds types that are not trusted by default: {', '.join(foreign)}; "
                f"if you know where the file comes from, load_model(folder, trusted={foreign}), {_elsewhere(foreign)}"
            )
        model = skops.io.load(file, trusted=sorted(unknown))
        if not isinstance(model, Pipeline):
            raise InputError(f"{file}: this holds a {type(model).__name__}; a model is a scikit-learn Pipeline")
        for part in _parts(model, set()):
            _check_part(part, trusted)
        for name, step in model.steps:
            if hasattr(step, "build_network"):
                step.network_ = _network(step, folder / f"{name}.safetensors")
    except InputError:
        raise
    except Exception as error:  # skops, zipfile, json and scikit-learn raise a dozen kinds on damaged files
        raise InputError(f"{file}: damaged ({_first_line(error)}); take the folder `model` of another run") from error
    return model


def _parts(value: object, seen: set[int]) -> Iterator[object]:
    """Yield every object below a loaded one, the attributes of objects and the members of collections, once."""
    if id(value) in seen or value is None or isinstance(value, str | bytes | int | float | type):
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            for one in value.ravel():
                yield from _parts(one, seen)
        return
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _parts(one, seen)
    elif isinstance(value, list | tuple | set):
        for one in value:
            yield from _parts(one, seen)
    else:
        yield value
        yield from _parts(getattr(value, "__dict__", None), seen)


def _check_part(part: Any, trusted: Sequence[str]) -> None:
    """Raise an `InputError` where a part of a model holds what its class does not."""
    name = _name(part)
    if name in ESTIMATORS and name not in trusted:
        _check_attributes(part, trusted)
    elif name.endswith("._tree.Tree"):
        _check_tree(part.children_left, part.children_right, part.feature, part.n_features)
    elif name.endswith(".TreePredictor"):
        nodes = part.nodes
        inner = ~nodes["is_leaf"].astype(bool)
        left, right = (np.where(inner, nodes[side].astype(int), LEAF) for side in ("left", "right"))
        _check_tree(left, right, nodes["feature_idx"], np.iinfo(np.int32).max)


def _check_attributes(part: object, trusted: Sequence[str]) -> None:
    """Hold attributes against the annotations of the class: of its arguments, and of what it has learned."""
    kind = type(part)
    hints = get_type_hints(kind.__init__) | get_type_hints(kind) | OF_SCIKIT_LEARN
    for name, value in vars(part).items():
        if name not in hints or name == "network_":
            raise InputError(
                f"a {kind.__name__} of this model has an attribute {name}, which the class does not know"
            )
        if not _is_a(value, hints[name]) and _name(value) not in trusted:
            raise InputError(
                f"a {kind.__name__} of this model has {name}={str(value)[:60]}, which is no {hints[name]}"
            )


def _is_a(value: object, hint: Any) -> bool:
    if isinstance(hint, type) and hint not in (int, float, str, bool):
        return isinstance(value, hint)
    try:
        TypeAdapter(hint).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _name(part: object) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def _check_tree(left: np.ndarray, right: np.ndarray, feature: np.ndarray, n_features: int) -> None:
    """Raise an `InputError` where following a tree from its root would leave it, or not end."""
    inner = left != LEAF
    place = np.flatnonzero(inner)
    for child in (left[inner], right[inner]):
        if not np.all((child > place) & (child < len(left))):  # a child comes after its parent, or there are circles
            raise InputError("a tree of this model leads out of itself")
    if not np.all((feature[inner] >= 0) & (feature[inner] < n_features)):
        raise InputError("a tree of this model asks for features that there are not")


def _network(step: Any, file: Path) -> object:
    """Return a step's network with the weights in a file, once these are seen to be those of such a network."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_model as load_weights

    if not file.is_file():
        raise InputError(f"{file}: missing; the weights of a network belong to its model")
    with torch.device("meta"):  # takes no memory, whatever sizes the file asks for
        wanted = {name: list(tensor.shape) for name, tensor in step.build_network().state_dict().items()}
    with safe_open(file, "pt") as stored:
        found = {name: stored.get_slice(name).get_shape() for name in stored.keys()}  # noqa: SIM118
    if found != wanted:
        odd = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))[0]
        raise InputError(
            f"{file}: {odd} has the shape {found.get(odd)} where this network has {wanted.get(odd)}; "
            "the file belongs to another model"
        )
    network = step.build_network()
    load_weights(network, file)
    return network


def _store_network(step: object, file: Path) -> object:
    """Write the step's network, where it has one, and return the step without it."""
    if not hasattr(step, "network_"):
        return step
    from safetensors.torch import save_model as save_weights

    save_weights(step.network_, str(file))
    bare = copy.copy(step)
    del bare.network_
    for name in getattr(step, "used_by_fit_alone", ()):
        setattr(bare, name, None)
    return bare


def _entries(node: object, depth: int = 0, key: str = "") -> Iterator[tuple[int, str, object]]:
    """Yield every key and value of nested settings with the number of mappings above; of a list each member."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield depth, str(name), child
            yield from _entries(child, depth + 1)
    elif isinstance(node, list):
        for child in node:
            yield depth, key, child
            yield from _entries(child, depth)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0][:200]
