"""Runs that no tracker could take are sent, and those whose process died are closed: ``python -m hiexp.sync``."""

from __future__ import annotations

import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig

from hiexp.commandline import start
from hiexp.configs import CONFIGS, store_uri
from hiexp.errors import InputError
from hiexp.hydra_versions import VERSION_BASE
from hiexp.printable import counted
from hiexp.run.reuse import fail_orphaned_runs
from hiexp.run.session import input_errors_as_messages
from hiexp.run.summary import display_path
from hiexp.tracking.mlflow_store import MlflowTracking, resend_pending

log = logging.getLogger(__name__)


@hydra.main(**VERSION_BASE, config_path=str(CONFIGS), config_name="sync")
@input_errors_as_messages()
def main(cfg: DictConfig) -> None:
    """Send what is kept in a folder."""
    from hiexp.run.settings import check_settings

    check_settings(cfg, "sync")
    folder = Path(cfg.runs)
    if not folder.is_dir():
        raise InputError(f"runs={display_path(folder)}: no such folder")
    n_sent = 0
    artifacts = str(Path(cfg.root, "mlruns", "artifacts"))
    for record, place in resend_pending(folder, artifacts, uri=cfg.uri):
        n_sent += 1
        log.info("sent  %s  %s", display_path(place), record.name)
    log.info("%s sent", counted(n_sent, "run")) if n_sent else log.info("Nothing to sync in %s", display_path(folder))
    uri = cfg.uri or store_uri(cfg.root)
    if cfg.uri or Path(uri.removeprefix("sqlite:///")).exists():
        tracking = MlflowTracking(uri, artifacts, cfg.experiment_name)
        tracking.prepare()
        n_dead = fail_orphaned_runs(tracking, Path(cfg.root))
        if n_dead:
            log.info("%s without a process closed", counted(n_dead, "run"))


def run() -> None:
    """Run the command as ``hiexp-sync`` or ``python -m hiexp.sync``."""
    start(main)


if __name__ == "__main__":
    run()
