"""One experiment, from spectra to scores: ``python -m hiexp.train [group=member ...] [key=value ...]``."""

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
    recorded,
    run_folder,
    stopwatch,
    sweeping,
)
from hiexp.commandline import start
from hiexp.errors import NoGroupsError
from hiexp.fit import fit_sample
from hiexp.summary import one_line, summary

if TYPE_CHECKING:  # pandas, scikit-learn and torch take seconds to import, and --help needs none of them
    import numpy as np

    from hiexp.cache import DiskCache, NoCache
    from hiexp.evaluation import Division
    from hiexp.labels import ClusterLabels, ReferenceLabels
    from hiexp.outcome import Outcome, Part

log = logging.getLogger(__name__)


def run_experiment(cfg: DictConfig, folder: Path, metrics: dict[str, float]) -> Outcome:
    """Call the stages in order.

    Parameters
    ----------
    cfg : DictConfig
        A composed ``conf/train.yaml``.
    folder : Path
        Receives the tables of `write_sample` as soon as they are computed.
    metrics : dict
        Receives ``fit_seconds``, ``train_seconds`` and the like, summed over folds.

    Raises
    ------
    InputError
        If the data or the settings cannot be used.
    """
    from hydra.utils import instantiate

    from hiexp.evaluation import catalogue_parameters, split
    from hiexp.outcome import Outcome

    cache = instantiate(cfg.cache)
    spectra, fit = fit_sample(cfg, folder, metrics)
    labels = instantiate(cfg.labels, _convert_="all")
    taking_part = fit.good & labels.eligible(spectra.reference, len(spectra))
    spectra, profiles = spectra.without_channels().take(taking_part), fit.profiles[taking_part]
    parameters = catalogue_parameters(cfg.evaluation.parameters, spectra.catalogue, fit.table[taking_part])
    splitter = instantiate(cfg.evaluation.splitter)
    divisions = split(spectra, cfg.evaluation.split, splitter, cfg.evaluation.get("groups"))
    parts = [learn_part(cfg, cache, labels, profiles, spectra.reference, part, metrics) for part in divisions]
    return Outcome.of(spectra, profiles, parameters, parts, cfg.evaluation.permutations, cfg.seed)


def learn_part(
    cfg: DictConfig,
    cache: DiskCache | NoCache,
    labels: ReferenceLabels | ClusterLabels,
    profiles: np.ndarray,
    reference: np.ndarray | None,
    division: Division,
    metrics: dict[str, float],
) -> Part:
    """Learn classes from the training part of one division of the sample, and predict those of all objects."""
    from hydra.utils import instantiate

    from hiexp.labels import Assignment
    from hiexp.outcome import Part
    from hiexp.pipeline import Features, extract, learn, learned_from, predict

    log.info("%d objects to train on, %d held out", len(division.train), len(division.test))
    # Each of the next two is computed once for all runs that agree on what it is given.
    assigned = cache.recall(
        "labels",
        Assignment,
        (cfg.labels, profiles, reference, division.train),
        stopwatch(metrics, "labels_seconds")(lambda: labels.assign(profiles, reference, division.train)),
    )
    classes, taught = assigned.classes, assigned.taught
    feature = instantiate(cfg.feature, _convert_="all")
    features = cache.recall(
        "feature",
        Features,
        (cfg.feature, profiles, *learned_from(feature, taught, classes)),
        stopwatch(metrics, "feature_seconds")(lambda: extract(feature, profiles, taught, classes)),
    )
    with stopwatch(metrics, "train_seconds"):
        model = learn(features, instantiate(cfg.classifier, _convert_="all"), taught, classes)
    with stopwatch(metrics, "predict_seconds"):
        predicted, probability = predict(model, features)
    return Part(division, assigned, predicted, probability, model)


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
@command
def main(cfg: DictConfig) -> float | None:
    """Run one experiment, or one job of a sweep, whose failure must not stop the others."""
    job, folder = HydraConfig.get(), run_folder()
    with recorded(cfg) as record:
        try:
            outcome = run_experiment(cfg, folder, record.metrics)
        except NoGroupsError as nothing:
            if not sweeping():
                raise
            log.info("%s", nothing)
            record.metrics |= nothing.scores
            return None
        record.metrics |= outcome.metrics()
        record.curves |= outcome.history
        log.info("Trained in %.1f s; writing predictions, pictures and model", record.metrics["train_seconds"])
        outcome.write(folder)
    if sweeping():
        ended(one_line(record.metrics))
    else:
        log.info(summary(outcome, record.metrics, cfg, job, folder))
    return record.metrics.get("success_rate")


if __name__ == "__main__":
    start(main)
