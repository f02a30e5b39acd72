"""The line fits of a dataset and nothing more: ``python -m hiexp.fit [group=member ...] [key=value ...]``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hiexp.commandline import start
from hiexp.configs import CONFIGS
from hiexp.hydra_versions import VERSION_BASE
from hiexp.run.experiment import fitted_sample
from hiexp.run.profiling import profiled
from hiexp.run.session import (
    command,
    log_samples,
    report_job_ended,
    run_folder,
    sweeping,
    tracked_run,
)
from hiexp.run.summary import fit_one_line, fit_summary

if TYPE_CHECKING:
    from hiexp.fitting import FitResult
    from hiexp.spectra import Spectra

log = logging.getLogger(__name__)


@hydra.main(**VERSION_BASE, config_path=str(CONFIGS), config_name="fit")
@command
def main(cfg: DictConfig) -> None:
    """Fit one sample, alone or as one job of a sweep, whose failure must not stop the others."""
    from hiexp.run.sample import check_sample

    job, folder = HydraConfig.get(), run_folder()
    with tracked_run(cfg) as record, profiled(cfg, folder):
        spectra, fit = fitted_sample(cfg, folder, record.metrics)
        record.metrics |= fit.metrics()
        log_samples(record, cfg, spectra.digest, {"fit": spectra.ids})
        _write_for_paper(spectra, fit, cfg, folder)
        check_sample(fit)
        if "fit_seconds" in record.metrics:
            record.metrics["spectra_per_second"] = len(spectra) / record.metrics["fit_seconds"]
    if sweeping():
        report_job_ended(fit_one_line(record.metrics))
    else:
        log.info(fit_summary(spectra, fit, record.metrics, cfg, job, folder))


def _write_for_paper(spectra: Spectra, fit: FitResult, cfg: DictConfig, folder: Path) -> None:
    if not (cfg.export or cfg.ids):
        return
    from hiexp.run.export import write_exports, write_pages

    if cfg.export:
        write_exports(spectra, fit, cfg.export, folder)
    if cfg.ids:
        write_pages(spectra, fit, folder)


def run() -> None:
    """Run the command as ``hiexp-fit`` or ``python -m hiexp.fit``."""
    start(main)


if __name__ == "__main__":
    run()
