"""The jobs of a grid: made of words, composed, and checked before the first begins."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

from hiexp.commandline import message_of
from hiexp.errors import InputError, SeveralFaultsError
from hiexp.run.checks import without_hydra

MOST_CHECKED = 2000  # jobs

Words = Sequence[str]  # of a job, ``key=value`` each


def sweep_words(params: Mapping[str, str] | None, typed: Words) -> list[str]:
    """Return the words of a sweep, those of a preset, values by key, before those of the command."""
    return [*(f"{key}={value}" for key, value in (params or {}).items()), *typed]


def jobs_of_grid(words: Words, loader: Any) -> list[list[str]]:
    """Return the jobs, all combinations of the values, of words that may have several.

    Parameters
    ----------
    words : sequence of str
        Words of a preset and of the command; of two for one key the later counts.
    loader : hydra.core.config_loader.ConfigLoader
        What knows the members of the groups.

    Raises
    ------
    InputError
        If a word has no values, or is an interval.
    """
    axes: dict[str, list[str]] = {}
    for override in OverridesParser.create(loader).parse_overrides(list(words)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            axes[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            axes[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            if not axes[key]:
                raise InputError(f"{override.input_line}: no values to sweep over")
        else:
            raise InputError(f"{override.input_line}: a grid takes values, or a range(start, stop, step)")
    return [list(job) for job in itertools.product(*axes.values())]


def check_jobs(jobs: Sequence[Words], config: DictConfig, loader: Any) -> None:
    """Compose and check jobs; of more than `MOST_CHECKED` some, in which every word occurs.

    Parameters
    ----------
    jobs : sequence of sequence of str
        The words of each.
    config : DictConfig
        The sweep's, with Hydra's part.
    loader : hydra.core.config_loader.ConfigLoader
        What composes them.

    Raises
    ------
    InputError
        If settings cannot be, with a line for each fault of any job.
    """
    from tqdm import tqdm

    from hiexp.run.settings import check_settings
    from hiexp.run.transfer import check_transfer

    faults: list[str] = []
    tried = jobs if len(jobs) <= MOST_CHECKED else list(with_all_words(jobs))
    # Here bars do not disturb each other yet, which the environment may have turned off for the jobs.
    bar = tqdm(total=len(tried), desc="checking settings", unit=" jobs", delay=1, leave=False, disable=None)
    for error, job in composed(tried, config, loader):
        bar.update()
        try:
            if error:
                raise error
            check_settings(without_hydra(job), config.hydra.job.name)
            check_transfer(without_hydra(job))
        except Exception as fault:
            message = message_of(fault)
            if message is None:  # a bug
                raise
            faults += message.split("\n")
    bar.close()
    if faults:
        raise SeveralFaultsError(faults)


def composed(jobs: Sequence[Words], config: DictConfig, loader: Any) -> Iterator[tuple[Exception | None, DictConfig]]:
    """Yield the configuration of each job, valid until the next, or why it has none.

    Hydra's own composition takes a tenth of a second: jobs that differ by plain values alone share one.
    """
    groups = set(config.hydra.runtime.choices)
    parser = OverridesParser.create(loader)
    known: dict[tuple[str, ...], DictConfig] = {}
    parsed: dict[str, Override] = {}
    for words in jobs:
        new = [word for word in words if word not in parsed]
        parsed |= zip(new, parser.parse_overrides(new), strict=True)
        values = {word: parsed[word] for word in words if _is_plain(parsed[word], groups)}
        others = tuple(word for word in words if word not in values)
        try:
            if others not in known:
                known[others] = loader.load_sweep_config(master_config=config, sweep_overrides=list(words))
            for override in values.values():
                OmegaConf.update(known[others], override.key_or_group, override.value())
        except Exception as error:  # of a word that is not there
            known.pop(others, None)
            yield error, OmegaConf.create()
        else:
            yield None, known[others]


def _is_plain(override: Override, groups: set[str]) -> bool:
    """Return whether a word gives a number, a word or nothing to a key that is there."""
    key, value = str(override.key_or_group), override.value()
    if override.type != OverrideType.CHANGE or override.package is not None or isinstance(value, list | dict):
        return False
    return key not in groups and not key.startswith("hydra.")


def with_all_words(jobs: Sequence[Words]) -> Iterator[Words]:
    """Yield some of the jobs, few, in which every word of all occurs."""
    seen: set[str] = set()
    for words in jobs:
        if not seen.issuperset(words):
            seen.update(words)
            yield words
