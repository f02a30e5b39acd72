"""A trained model on other spectra: ``python -m hiexp.predict run=FOLDER dataset=MEMBER [key=value ...]``."""

from __future__ import annotations

import logging

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hiexp.commandline import start
from hiexp.configs import CONFIGS
from hiexp.hydra_versions import VERSION_BASE
from hiexp.run.experiment import predict_sample
from hiexp.run.profiling import profiled
from hiexp.run.session import (
    command,
    log_samples,
    report_job_ended,
    run_folder,
    sweeping,
    tracked_run,
)
from hiexp.run.summary import prediction_one_line, prediction_summary
from hiexp.run.trained import Origin

log = logging.getLogger(__name__)


@hydra.main(**VERSION_BASE, config_path=str(CONFIGS), config_name="predict")
@command
def main(cfg: DictConfig) -> float | None:
    """Predict the classes of one sample, alone or as one job of a sweep, whose failure must not stop the others."""
    job, folder = HydraConfig.get(), run_folder()
    origin = Origin.of(cfg)
    cfg.run = origin.named
    with tracked_run(cfg, origin.tags(job, sweeping=sweeping())) as record, profiled(cfg, folder):
        origin.write(folder)
        prediction = predict_sample(cfg, folder, record.metrics)
        record.metrics |= prediction.metrics()
        log_samples(record, cfg, prediction.digest, {"predict": prediction.ids})
        prediction.write(folder)
    if sweeping():
        report_job_ended(prediction_one_line(record.metrics))
    else:
        log.info(prediction_summary(prediction, record.metrics, cfg, job, folder))
    return record.metrics.get("success_rate")


def run() -> None:
    """Run the command as ``hiexp-predict`` or ``python -m hiexp.predict``."""
    start(main)


if __name__ == "__main__":
    run()
