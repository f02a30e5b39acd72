"""How hiexp sweeps. Hydra takes sweepers from the namespace ``hydra_plugins`` alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hiexp.commandline import message_of
from hiexp.errors import InputError, SeveralFaultsError
from hiexp.kinds import Count, Name, Whole
from hiexp.run.checks import without_hydra
from hiexp.sweep.internals import bound_processes

MOST_CHECKED = 2000  # jobs


class GridSweeper(Sweeper):
    """Run all combinations of values, as Hydra's own sweeper does, once the settings of all have been checked.

    Hydra's composes every job before the first is launched, a tenth of a second each. Here jobs that differ by plain
    values alone are composed once, and of more than `MOST_CHECKED` as many are checked as it takes to see each value.

    Parameters
    ----------
    params : mapping of str or None
        Values of keys that a preset sweeps; words of the command come after them.
    """

    hydra_context: Any  # these three are Hydra's, from `setup` on
    config: Any
    launcher: Any

    def __init__(self, params: Mapping[str, str] | None) -> None:
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra knows of the command."""
        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run all jobs and return what came of them, in one batch; write the sweep's configuration before.

        With ``dry_run=true`` say what would be run, and write nothing.
        """
        jobs = self._grid([f"{key}={value}" for key, value in self.params.items()] + arguments)
        if self.config.get("dry_run"):
            from hiexp.sweep.dry_run import say_jobs

            self.validate_batch_is_legal(jobs)
            say_jobs(jobs, (job for _, job in self.composed(jobs)), self.config)
            return []
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        self.validate_batch_is_legal(jobs)
        bound_processes(self.launcher, len(jobs))
        results = self.launcher.launch(jobs, initial_job_idx=0)
        for job in results:
            _ = job.return_value  # raises what the job has raised
        return [results]

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose and check the jobs, lists of ``key=value``; of a large batch some, in which every such word occurs.

        Raises
        ------
        InputError
            If settings cannot be, with a line for each fault of any job.
        """
        from hiexp.run.settings import check_settings
        from hiexp.run.transfer import check_transfer

        faults: list[str] = []
        for error, job in self.composed(batch if len(batch) <= MOST_CHECKED else list(with_all_words(batch))):
            try:
                if error:
                    raise error
                check_settings(without_hydra(job), self.config.hydra.job.name)
                check_transfer(without_hydra(job))
            except Exception as fault:
                message = message_of(fault)
                if message is None:  # a bug
                    raise
                faults += message.split("\n")
        if faults:
            raise SeveralFaultsError(faults)

    def composed(self, batch: Sequence[Sequence[str]]) -> Iterator[tuple[Exception | None, DictConfig]]:
        """Yield the configuration of each job, valid until the next, or why it has none."""
        load = self.hydra_context.config_loader.load_sweep_config
        groups = set(self.config.hydra.runtime.choices)
        parser = OverridesParser.create(self.hydra_context.config_loader)
        known: dict[tuple[str, ...], DictConfig] = {}
        parsed: dict[str, Override] = {}
        for words in batch:
            new = [word for word in words if word not in parsed]
            parsed |= zip(new, parser.parse_overrides(new), strict=True)
            values = {word: parsed[word] for word in words if _is_plain(parsed[word], groups)}
            others = tuple(word for word in words if word not in values)
            try:
                if others not in known:
                    known[others] = load(master_config=self.config, sweep_overrides=list(words))
                for override in values.values():
                    OmegaConf.update(known[others], override.key_or_group, override.value())
            except Exception as error:  # of a word that is not there
                known.pop(others, None)
                yield error, OmegaConf.create()
            else:
                yield None, known[others]

    def _grid(self, words: list[str]) -> list[list[str]]:
        """Return the jobs, each of them a list of ``key=value``, of words that may have several values."""
        axes: dict[str, list[str]] = {}  # of two words for one key the later
        for override in OverridesParser.create(self.hydra_context.config_loader).parse_overrides(words):
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


class SearchSweeper(GridSweeper):
    """Run trials that Optuna proposes, steered by the score of an inner validation part.

    Parameters
    ----------
    sampler : {"tpe", "random", "grid", "cmaes"}
        What proposes a trial.
    n_trials : int
        Trials of the study in all, whichever process has begun them.
    batch : int or None
        Trials that are handed to the launcher together; None for as many as it does at a time.
    storage : str
        Database of the study, ``sqlite:///FILE`` or ``postgresql://HOST:PORT/DATABASE``.
    study : str or None
        Name of the study; None for one that the same command, data aside, always has.
    pruner : {"none", "median", "halving", "hyperband"}
        What stops trials that are behind others at the same epoch.
    warmup_epochs : int
        Epochs that every trial is given.
    params : mapping of str to str or None
        Ranges of keys, as on the command line: ``a,b,c``, ``range(1,9)``, ``interval(0.1,1)``,
        ``int(interval(1,9))``, ``tag(log,interval(0.01,100))``; words of the command come after them.
    branches : mapping of str to mapping, or None
        Ranges of keys that there are with one choice alone, by that choice: ``{"classifier=svm": {...}}``.
    """

    def __init__(
        self,
        sampler: Literal["tpe", "random", "grid", "cmaes"],
        n_trials: Count,
        batch: Count | None,
        storage: Name,
        study: Name | None,
        pruner: Literal["none", "median", "halving", "hyperband"],
        warmup_epochs: Whole,
        params: Mapping[str, Any] | None,
        branches: Mapping[str, Mapping[str, Any]] | None,
    ) -> None:
        super().__init__(params)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run the search and return what came of the jobs, by batch; write the sweep's configuration before."""
        from hiexp.sweep.search import Search, plan_of

        plan = plan_of(self.config, self.hydra_context.config_loader)
        self.validate_batch_is_legal(list(plan.space.samples()))
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        bound_processes(self.launcher, plan.batch)
        return Search(plan, folder, self.launcher.launch).run()


def _is_plain(override: Override, groups: set[str]) -> bool:
    """Return whether a word gives a number, a word or nothing to a key that is there."""
    key, value = str(override.key_or_group), override.value()
    if override.type != OverrideType.CHANGE or override.package is not None or isinstance(value, list | dict):
        return False
    return key not in groups and not key.startswith("hydra.")


def with_all_words(batch: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yield jobs in which every word of a batch occurs, few of them."""
    seen: set[str] = set()
    for words in batch:
        if not seen.issuperset(words):
            seen.update(words)
            yield words
