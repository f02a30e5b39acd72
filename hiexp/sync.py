"""Runs that their tracker could not take are sent: ``python -m hiexp.sync [root=FOLDER] [runs=FOLDER] [uri=URI]``."""

from __future__ import annotations

import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig

from hiexp.commandline import start
from hiexp.configs import CONFIGS
from hiexp.errors import InputError
from hiexp.hydra_versions import VERSION_BASE
from hiexp.run.session import input_errors_as_messages
from hiexp.run.summary import display_path
from hiexp.tracking.mlflow_store import resend_pending

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
    for record, place in resend_pending(folder, uri=cfg.uri):
        n_sent += 1
        log.info("sent  %s  %s", display_path(place), record.name)
    log.info("%d runs sent", n_sent) if n_sent else log.info("Nothing to sync in %s", display_path(folder))


def run() -> None:
    """Run the command as ``hiexp-sync`` or ``python -m hiexp.sync``."""
    start(main)


if __name__ == "__main__":
    run()
