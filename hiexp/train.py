"""One experiment, from spectra to scores: ``python -m hiexp.train [group=member ...] [key=value ...]``."""

from __future__ import annotations

import logging

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from hiexp.commandline import start
from hiexp.configs import CONFIGS
from hiexp.errors import NoGroupsError
from hiexp.hydra_versions import VERSION_BASE
from hiexp.run.experiment import functions_of, run_experiment
from hiexp.run.profiling import profiled
from hiexp.run.session import (
    command,
    log_samples,
    report_job_ended,
    run_folder,
    sweeping,
    tracked_run,
)
from hiexp.run.summary import summary, training_one_line
from hiexp.run.target import Target
from hiexp.sweep.trial import watch_of

log = logging.getLogger(__name__)


@hydra.main(**VERSION_BASE, config_path=str(CONFIGS), config_name="train")
@command
def main(cfg: DictConfig) -> float | None:
    """Run one experiment, or one job of a sweep, whose failure must not stop the others."""
    job, folder = HydraConfig.get(), run_folder()
    with tracked_run(cfg) as record, profiled(cfg, folder):
        try:
            target = Target.of(cfg, folder, record.metrics)
            watch = watch_of(job) if cfg.objective and sweeping() else None
            outcome = run_experiment(cfg, folder, record.metrics, watch)
        except NoGroupsError as nothing:
            if not sweeping():
                raise
            log.info("%s", nothing)
            record.metrics |= nothing.scores
            return None
        record.metrics |= outcome.metrics()
        record.curves |= outcome.history
        log_samples(record, cfg, outcome.digest, outcome.used())
        log.info("Trained in %.1f s; writing predictions, pictures and model", record.metrics["train_seconds"])
        outcome.write(folder, instantiate(cfg.cache), functions_of(cfg, "pictures"))
        from hiexp.run.served_model import describe_model  # numpy and pandas, which --help needs not

        describe_model(folder, outcome.classes, probabilities=outcome.parts[0].probability is not None)
        transferred = target.predict(cfg, outcome, record.metrics) if target else None
    if sweeping():
        report_job_ended(training_one_line(record.metrics))
    else:
        log.info(summary(outcome, transferred, record.metrics, cfg, job, folder))
    return record.metrics.get("success_rate")


def run() -> None:
    """Run the command as ``hiexp-train`` or ``python -m hiexp.train``."""
    start(main)


if __name__ == "__main__":
    run()
