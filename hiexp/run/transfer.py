"""From a sky like a sample to the sample itself: which spectra these are, and the names of what comes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hiexp.errors import InputError
from hiexp.run.files import CONFIG_FILE

TRANSFER_FOLDER = "transfer"  # in the folder of a run
PREFIX = "transfer_"  # of its metrics
LIKE = "like"  # the key of a dataset that names the sample


def real_settings(cfg: DictConfig) -> dict[str, Any]:
    """Return the keys, other than a training's own, by which the spectra are read that its sky is like.

    Parameters
    ----------
    cfg : DictConfig
        The composed configuration of a command.

    Returns
    -------
    dict
        ``dataset``, and ``ids`` where the run that fitted them chose some; empty where nothing is to be transferred.

    Raises
    ------
    InputError
        If the sky is like no sample, or like one whose spectra nobody can find or may read.
    """
    if not cfg.get("transfer"):
        return {}
    like = cfg.dataset.get(LIKE)
    if like is None:
        raise InputError(
            "transfer=true: the dataset is not like any sample; choose dataset=mock_like dataset.like=FOLDER of a "
            "run or of spectra, or leave out transfer=true"
        )
    from hiexp.datasets.files import is_folder
    from hiexp.datasets.mock.like import fits_of, refuse_missing

    place = Path(like)
    if is_folder(place, "dataset.like") and (place / CONFIG_FILE).is_file():
        return _of_run(place, cfg.cache.get("folder"))
    if fits_of(like) is not None:
        raise InputError(
            f"transfer=true: dataset.like={like} is a table of fits, which has no spectra; give the folder of the "
            "run of  python -m hiexp.fit  that made it, or the spectra, or leave out transfer=true"
        )
    refuse_missing(like)
    return {"dataset": {"_target_": "hiexp.datasets.mock.like.spectra_of", "_partial_": True, "like": like}}


def _of_run(folder: Path, cache: str | None) -> dict[str, Any]:
    """Return what a run's folder says of its dataset, once that is known to be harmless."""
    from hiexp.datasets.mock.like import FITS_TABLES
    from hiexp.run.model_files import checked_stage
    from hiexp.run.reading import read_config

    file = folder / CONFIG_FILE
    settings = read_config(file)
    try:
        dataset = checked_stage(file, settings, "dataset")
    except InputError as error:
        reason = str(error).partition("; if you know")[0]
        raise InputError(
            f"transfer=true: {reason}; train with transfer=false, and apply the model by  python -m hiexp.predict"
        ) from error
    if not any((folder / name).is_file() for name in FITS_TABLES):
        raise InputError(f"dataset.like={folder}: this run has no {FITS_TABLES[0]}; give one that has ended well")
    if "cache" in dataset:
        dataset["cache"] = cache  # the other is a place of that run
    ids = settings.get("ids")
    return {"dataset": dataset} | ({"ids": [str(name) for name in ids]} if isinstance(ids, list) and ids else {})


def check_transfer(cfg: DictConfig) -> None:
    """Raise an `InputError` where a model is to be transferred to spectra that are not there to be read."""
    real_settings(cfg)


def prefixed(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics of a transfer under the names that they have among those of the training."""
    return {f"{PREFIX}{name}": value for name, value in metrics.items()}


def of_transfer(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return, of the metrics of a training, those of its transfer, under the names that a prediction gives them."""
    return {name.removeprefix(PREFIX): value for name, value in metrics.items() if name.startswith(PREFIX)}
