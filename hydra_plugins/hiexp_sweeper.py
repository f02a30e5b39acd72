"""How hiexp sweeps. Hydra takes sweepers from the namespace ``hydra_plugins`` alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import CompactHydraException

from hiexp.errors import InputError
from hiexp.run.checks import without_hydra


class GridSweeper(BasicSweeper):
    """Hydra's own sweeper, which begins a large grid as soon as a small one.

    Hydra's composes every job before the first is launched, a tenth of a second each, so that a value that is not
    there is refused before anything is computed. Here that is done with as many jobs as it takes to see each value
    once, and their settings are checked.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose some of the jobs, each of them a list of ``key=value``, in which every such word occurs."""
        from hiexp.run.settings import check_settings

        assert self.hydra_context is not None, "Hydra calls setup first"
        assert self.config is not None, "Hydra calls setup first"
        for words in _with_all_words(batch):
            job = self.hydra_context.config_loader.load_sweep_config(
                master_config=self.config, sweep_overrides=list(words)
            )
            try:
                check_settings(without_hydra(job), self.config.hydra.job.name)
            except InputError as error:
                raise CompactHydraException(str(error)) from error


def _with_all_words(batch: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    seen: set[str] = set()
    for words in batch:
        if not seen.issuperset(words):
            seen.update(words)
            yield words
