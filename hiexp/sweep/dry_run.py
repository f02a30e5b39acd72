"""What a sweep would run, and what of it an earlier run has done already."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from hydra.utils import instantiate
from omegaconf import DictConfig

from hiexp.run.checks import without_hydra
from hiexp.run.provenance import work_key
from hiexp.run.reuse import where_done
from hiexp.run.summary import display_path

log = logging.getLogger(__name__)


def say_jobs(jobs: Sequence[Sequence[str]], composed: Iterable[DictConfig], config: DictConfig) -> None:
    """Say the number and the settings of each job, and where it has been done; nothing is written.

    Parameters
    ----------
    jobs : sequence of sequence of str
        The words of each, ``key=value``.
    composed : iterable of DictConfig
        The configuration of each, with Hydra's part.
    config : DictConfig
        The sweep's.
    """
    same = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    shown = [" ".join(word for word in words if word not in same) for words in jobs]
    width, n_done = min(max(map(len, shown)), 100), 0
    for number, (words, job) in enumerate(zip(shown, composed, strict=True)):
        settings = without_hydra(job)
        done = where_done(instantiate(settings.tracking), work_key(settings))
        n_done += done is not None
        log.info("#%-4d %-*s  %s", number, width, words, f"done in {display_path(done)}" if done else "to run")
    reuse = instantiate(config.tracking).reuse
    again = "" if reuse or not n_done else "; all would run again, since tracking.reuse=false"
    log.info(
        "%d jobs: %d done, %d to run%s. Nothing has been run or written (dry_run=true)",
        *(len(jobs), n_done, len(jobs) - n_done, again),
    )
