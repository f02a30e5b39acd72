"""Configurations as the commands compose them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from hiexp.configs import CONFIGS
from hiexp.hydra_versions import VERSION_BASE


def composed(*words: str, command: str = "train", hydra: bool = False) -> DictConfig:
    """Return the configuration of a command with some words, with or without Hydra's own part."""
    with initialize_config_dir(str(CONFIGS.absolute()), **VERSION_BASE):
        return compose(command, overrides=list(words), return_hydra_config=hydra)


def configured(group: str, name: str, *words: str) -> object:
    """Return a member of a group as its YAML builds it."""
    return instantiate(composed(f"{group}={name}", *words)[group], _convert_="all")
