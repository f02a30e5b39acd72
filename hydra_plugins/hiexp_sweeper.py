"""How hiexp sweeps. Hydra takes sweepers from the namespace ``hydra_plugins`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hiexp.kinds import Count, Name, Whole
from hiexp.sweep.grid import check_jobs, composed, jobs_of_grid, sweep_words
from hiexp.sweep.internals import bound_processes


class GridSweeper(Sweeper):
    """Run all combinations of values, as Hydra's own sweeper does.

    `SweepCallback` has checked them, before anything is written.

    Parameters
    ----------
    params : mapping of str or None
        Values of keys that a preset sweeps; words of the command come after them.
    """

    hydra_context: Any  # these three are Hydra's, from `setup` on
    config: Any
    launcher: Any

    def __init__(self, params: Mapping[str, str] | None) -> None:
        self.params = params

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
        loader = self.hydra_context.config_loader
        jobs = jobs_of_grid(sweep_words(self.params, arguments), loader)
        if self.config.get("dry_run"):
            from hiexp.sweep.dry_run import say_jobs

            check_jobs(jobs, self.config, loader)
            say_jobs(jobs, (job for _, job in composed(jobs, self.config, loader)), self.config)
            return []
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        bound_processes(self.launcher, len(jobs))
        results = self.launcher.launch(jobs, initial_job_idx=0)
        for job in results:
            _ = job.return_value  # raises what the job has raised
        return [results]


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
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        bound_processes(self.launcher, plan.batch)
        return Search(plan, folder, self.launcher.launch).run()
