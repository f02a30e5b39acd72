"""The line fits of a dataset and nothing more: ``python -m hiexp.fit [group=member ...] [key=value ...]``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hiexp.command import (
    CONFIGS,
    command,
    ended,
    leave_imports_alone,
    recorded,
    run_folder,
    stopwatch,
    sweeping,
)
from hiexp.commandline import start
from hiexp.summary import fit_one_line, fit_summary

if TYPE_CHECKING:  # --help waits for none of the libraries that a fit needs
    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

FITTED = ("ids", "velocity", "flux", "valid", "rms", "systemic")  # what a fit sees of the spectra


def fit_sample(cfg: DictConfig, folder: Path, metrics: dict[str, float]) -> tuple[Spectra, FitResult]:
    """Read a dataset, fit its lines and write what came of it: the first two stages of every experiment.

    Parameters
    ----------
    cfg : DictConfig
        A composed ``conf/fit.yaml`` or ``conf/train.yaml``.
    folder : Path
        Receives the files of `write_sample`: made once for all runs of the same sample and fit.
    metrics : dict
        Receives ``fit_seconds``, unless the cache has the fits.

    Raises
    ------
    InputError
        If the data or the settings cannot be used.
    """
    from hydra.utils import instantiate

    from hiexp.cache import Files, fingerprint
    from hiexp.fitting import FitResult
    from hiexp.folders import staged
    from hiexp.outcome import check_sample, write_sample
    from hiexp.spectra import TABLES, Spectra

    cache, dataset = instantiate(cfg.cache), instantiate(cfg.dataset, _convert_="all")
    leave_imports_alone()
    # Any other dataset reads files, which may change between two runs.
    if getattr(dataset.func, "computed", False):
        spectra = cache.recall("dataset", Spectra, (cfg.dataset,), dataset)
    else:
        spectra = dataset()
    given = cfg.fit, fingerprint(*(getattr(spectra, name) for name in FITTED))
    fit = cache.recall(
        "fit",
        FitResult,
        given,
        stopwatch(metrics, "fit_seconds")(lambda: instantiate(cfg.fit, _convert_="all")(spectra)),
    )
    files = cache.recall(
        "sample",
        Files,
        (*given, *(getattr(spectra, name) for name in TABLES)),
        lambda: Files.written(lambda empty: write_sample(spectra, fit, empty)),
    )
    with staged(folder) as stage:
        files.save(stage)
    check_sample(spectra, fit)
    return spectra, fit


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="fit")
@command
def main(cfg: DictConfig) -> None:
    """Fit one sample, alone or as one job of a sweep, whose failure must not stop the others."""
    job, folder = HydraConfig.get(), run_folder()
    with recorded(cfg) as record:
        spectra, fit = fit_sample(cfg, folder, record.metrics)
        record.metrics |= fit.metrics()
        if "fit_seconds" in record.metrics:
            record.metrics["spectra_per_second"] = len(spectra) / record.metrics["fit_seconds"]
    if sweeping():
        ended(fit_one_line(record.metrics))
    else:
        log.info(fit_summary(spectra, fit, record.metrics, cfg, job, folder))


if __name__ == "__main__":
    start(main)
