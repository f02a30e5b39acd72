"""One experiment, from spectra to scores: ``python -m hiexp.train [group=member ...] [key=value ...]``."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hiexp.command import input_errors_as_messages, refuse_missing
from hiexp.errors import InputError
from hiexp.summary import one_line, opening, summary
from hiexp.sweep import ERROR_FILE, METRICS_FILE

if TYPE_CHECKING:  # pandas, scikit-learn and torch take seconds to import, and --help needs none of them
    from hiexp.outcome import Outcome

PACKAGE = Path(__file__).parent
# conf/ is inside an installed package and beside the package in a checkout.
CONFIGS = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir())

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
        Receives ``fit_seconds`` and ``train_seconds``.

    Raises
    ------
    InputError
        If the data or the settings cannot be used.
    """
    from hydra.utils import instantiate

    from hiexp.evaluation import score, split
    from hiexp.outcome import Outcome, write_sample
    from hiexp.pipeline import build_pipeline, fit_pipeline, predict
    from hiexp.spectra import UNKNOWN

    spectra = instantiate(cfg.dataset, _convert_="all")()
    with stopwatch(metrics, "fit_seconds"):
        fit = instantiate(cfg.fit, _convert_="all")(spectra)
    write_sample(spectra, fit, folder)

    labels = instantiate(cfg.labels, _convert_="all")
    taking_part = fit.good & labels.eligible(spectra.reference, len(spectra))
    spectra, profiles = spectra.take(taking_part), fit.profiles[taking_part]
    train, test = split(spectra, cfg.evaluation.split, instantiate(cfg.evaluation.splitter))
    log.info("%d objects to train on, %d held out", len(train), len(test))
    classes = labels.assign(profiles, spectra.reference, train)
    labelled = train[classes[train] != UNKNOWN]
    if len(labelled) < len(train):
        log.info("%d of the training objects have no class (noise) and are left out", len(train) - len(labelled))

    model = build_pipeline(instantiate(cfg.feature, _convert_="all"), instantiate(cfg.classifier, _convert_="all"))
    with stopwatch(metrics, "train_seconds"):
        fit_pipeline(model, profiles[labelled], classes[labelled])
    predicted, probability = predict(model, profiles)

    truth = classes if spectra.reference is None else spectra.reference
    known = test[truth[test] != UNKNOWN]
    return Outcome(
        ids=spectra.ids,
        profiles=profiles,
        reference=spectra.reference,
        labels=classes,
        train=train,
        test=test,
        predicted=predicted,
        probability=probability,
        model=model,
        scores=score(truth[known], predicted[known], cfg.evaluation.permutations, cfg.seed) if known.size else None,
        truth_name="clusterer" if spectra.reference is None else "reference",
    )


def run_tracked(
    cfg: DictConfig, folder: Path, name: str, members: dict[str, str]
) -> tuple[Outcome, dict[str, float]]:
    """Run one experiment, write its outcome into `folder` and record it with the tracker.

    Parameters
    ----------
    cfg : DictConfig
        A composed ``conf/train.yaml``.
    folder : Path
        The run's own.
    name : str
        The run's, for the tracker.
    members : dict of str to str
        The member chosen of each group: recorded beside the settings, because people compare by them.
    """
    from hydra.utils import instantiate

    from hiexp.provenance import flat_parameters, peak_memory_mb, run_tags

    refuse_missing(cfg)
    OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
    with instantiate(cfg.tracking).run(name, members | flat_parameters(cfg), run_tags(cfg), folder) as record:
        outcome = run_experiment(cfg, folder, record.metrics)
        record.metrics |= outcome.metrics() | {"peak_memory_mb": peak_memory_mb()}
        record.curves |= outcome.history
        log.info("Trained in %.1f s; writing predictions, pictures and model", record.metrics["train_seconds"])
        outcome.write(folder)
        (folder / METRICS_FILE).write_text(json.dumps(record.metrics, indent=2))
    return outcome, record.metrics


@contextmanager
def stopwatch(metrics: dict[str, float], name: str) -> Iterator[None]:
    """Store the seconds that the block takes."""
    start = time.perf_counter()
    yield
    metrics[name] = time.perf_counter() - start


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
@input_errors_as_messages()
def main(cfg: DictConfig) -> float | None:
    """Run one experiment, or one job of a sweep, whose failure must not stop the others."""
    job = HydraConfig.get()
    folder, sweeping = Path(job.runtime.output_dir), job.mode == RunMode.MULTIRUN
    if not sweeping:  # a sweep announces its jobs itself
        log.info(opening(job, folder))
    members = {group: member for group, member in job.runtime.choices.items() if not group.startswith("hydra/")}
    try:
        outcome, metrics = run_tracked(cfg, folder, job.job.override_dirname or "default", members)
    except Exception as error:
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        (folder / ERROR_FILE).write_text(f"{reason}\n\n{traceback.format_exc()}")
        if sweeping:
            log.error("Failed: %s", reason)
            return None
        raise
    log.info(one_line(metrics) if sweeping else summary(outcome, metrics, cfg, job, folder))
    return metrics.get("success_rate")


if __name__ == "__main__":
    main()
