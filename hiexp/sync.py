"""Runs that their tracker could not take are sent: ``python -m hiexp.sync [runs=FOLDER] [uri=URI]``."""

from __future__ import annotations

import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig

from hiexp.command import CONFIGS, input_errors_as_messages
from hiexp.commandline import start
from hiexp.errors import InputError
from hiexp.summary import shown
from hiexp.tracking import send_kept

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="sync")
@input_errors_as_messages()
def main(cfg: DictConfig) -> None:
    """Send what is kept in a folder."""
    from hiexp.settings import check_settings

    check_settings(cfg, "sync")
    folder = Path(cfg.runs)
    if not folder.is_dir():
        raise InputError(f"runs={cfg.runs}: no such folder")
    n_sent = 0
    for record, place in send_kept(folder, uri=cfg.uri):
        n_sent += 1
        log.info("sent  %s  %s", shown(place), record.name)
    log.info("%d runs sent", n_sent) if n_sent else log.info("Nothing is to be sent in %s", shown(folder))


if __name__ == "__main__":
    start(main)
