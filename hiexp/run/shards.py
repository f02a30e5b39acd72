"""A large sample is fitted shard by shard: each is kept when it is done, and may be done by another process or host.

A task carries the path of a pack of spectra and the rows of its shard, not the spectra; what it makes goes into the
cache, where an interrupted command finds it again.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

from hiexp.cache import DiskCache, NoCache, fingerprint
from hiexp.errors import InputError
from hiexp.executors import completed
from hiexp.fitting import FitResult
from hiexp.fitting.batches import BATCH
from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

ROWS = 1 << 16  # of a shard, where their number is not given
LAUNCHERS = "hydra_plugins.hiexp_launcher"


@dataclass(frozen=True)
class Shard:
    """Some rows of one stage; called, it computes them unless they are known.

    Attributes
    ----------
    stage : str
        "fit" or "measurements".
    member : mapping
        The member of that group, resolved.
    key : str
        Stands for all that the stage's result depends on.
    pack : Path
        The spectra, as the cache keeps them.
    fits : Path or None
        The fits that are measured, kept in the same way.
    rows : tuple of int
        The first, and the one after the last.
    cache : DiskCache
        Where the result goes.
    """

    stage: str
    member: Mapping[str, Any]
    key: str
    pack: Path
    fits: Path | None
    rows: tuple[int, int]
    cache: DiskCache

    @property
    def entry(self) -> Path:
        """Where the cache keeps the result."""
        return self.cache.entry(f"{self.stage}_shard", (self.key, *self.rows))

    def __call__(self) -> None:
        """Compute it."""
        self.cache.recall(f"{self.stage}_shard", FitResult, (self.key, *self.rows), self._make)

    def _make(self) -> FitResult:
        from hydra.utils import instantiate

        rows, make = slice(*self.rows), instantiate(self.member, _convert_="all")
        spectra = Spectra.load(self.pack).take(rows)
        if self.fits is None:
            return make(spectra)
        fit = FitResult.load(self.fits).take(rows)
        measured = make(spectra, fit)
        columns = measured.table.columns.difference(fit.table.columns, sort=False)
        return replace(measured.without_profiles(), table=measured.table[columns])

    def result(self) -> FitResult:
        """Return what it has computed."""
        return FitResult.load(self.entry)


def shard_rows(n: int, n_shards: int | None, device: str) -> list[tuple[int, int]]:
    """Return first row and the one after the last of each shard of N objects; so many at most, or by size.

    The batches in them are those of the whole sample, so that numbers are the same to the bit.
    """
    aligned = BATCH["cpu"] if device == "cpu" else max(BATCH.values())
    size = ROWS if n_shards is None else -(-n // n_shards)
    size = -(-size // aligned) * aligned
    return [(start, min(start + size, n)) for start in range(0, n, size)]


@dataclass(frozen=True)
class Sharding:
    """How the stages of a sample are divided.

    Attributes
    ----------
    cfg : DictConfig
        The command's configuration.
    cache : DiskCache or NoCache
        Without one that keeps shards there are none.
    spectra : Spectra
        The sample.
    pack : Path
        Where the cache keeps it.
    folder : Path
        The run's, for what a scheduler writes.
    rows : list of (int, int)
        The shards: first row, and the one after the last. A single one is no division.
    """

    cfg: DictConfig
    cache: DiskCache | NoCache
    spectra: Spectra
    pack: Path
    folder: Path
    rows: list[tuple[int, int]]

    @classmethod
    def of(cls, cfg: DictConfig, cache: DiskCache | NoCache, spectra: Spectra, key: str, folder: Path) -> Self:
        """Return the shards of a sample whose channels have this key: ``shards`` of them at most, or by size."""
        rows = shard_rows(len(spectra), cfg.get("shards"), cfg.device)
        if cfg.get("ids") or not isinstance(cache, DiskCache):
            rows = rows[:1]
        pack = Path()
        if len(rows) > 1 and isinstance(cache, DiskCache):
            cache = DiskCache(str(Path(cache.folder).absolute()), cache.keep_days)
            pack = cache.entry("pack", (key,))
            cache.recall("pack", Spectra, (key,), lambda: spectra)
            if not pack.is_dir():  # there is no room for it, and a warning has said so
                rows = rows[:1]
        return cls(cfg, cache, spectra, pack, folder, rows)

    def run(self, stage: str, given: tuple[object, ...], fits: Path | None = None) -> FitResult | None:
        """Return the result of a stage, computed in shards; None where it is to be computed in one piece.

        Parameters
        ----------
        stage : str
            "fit" or "measurements".
        given : tuple
            All that the result depends on.
        fits : Path, optional
            The fits that are measured.

        Raises
        ------
        InputError
            If a shard is lost; those that are done stay.
        """
        cache = self.cache
        if len(self.rows) < 2 or not isinstance(cache, DiskCache) or (fits and not fits.is_dir()):
            return None
        member: Any = OmegaConf.to_container(self.cfg[stage], resolve=True)
        key = fingerprint(*given)  # and not what it is made of, which may be a table
        shards = {
            number: Shard(stage, member, key, self.pack, fits and fits.absolute(), rows, cache)
            for number, rows in enumerate(self.rows)
        }
        left = {number: shard for number, shard in shards.items() if not shard.entry.is_dir()}
        n, n_done = len(shards), len(shards) - len(left)
        log.info("%s: %d shards of %d spectra, %d of them done already", stage, n, self.rows[0][1], n_done)
        lost: list[str] = []
        with _executor(self.folder) as executor:
            for number, _, reason in completed(executor, left) if executor else _one_by_one(left):
                first, end = self.rows[number]
                kept = left[number].entry.is_dir()
                why = reason or ("" if kept else f"it could not be kept in {cache.folder}; make room there")
                if why:
                    lost.append(why)
                    log.warning("%s: the shard of rows %d to %d is lost: %s", stage, first, end - 1, why)
                else:
                    n_done += 1
                    log.info("%s: %d of %d shards done (rows %d to %d)", stage, n_done, n, first, end - 1)
        if lost:
            raise InputError(
                f"{stage}: {len(lost)} of {n} shards lost ({lost[0]}); the same command computes what is missing"
            )
        return FitResult.joined((shard.result() for shard in shards.values()), len(self.spectra))

    def forget(self, stage: str, given: tuple[object, ...]) -> None:
        """Remove the shards of a stage whose result is kept as a whole."""
        if len(self.rows) > 1 and isinstance(self.cache, DiskCache):
            for rows in self.rows:
                self.cache.forget(f"{stage}_shard", (fingerprint(*given), *rows))


def _one_by_one(shards: Mapping[int, Callable[[], None]]) -> Any:
    for number, shard in shards.items():
        shard()
        yield number, None, ""


@contextmanager
def _executor(folder: Path) -> Iterator[Any]:
    """Yield the executor of Hydra's launcher; None where it has none, or is busy with the jobs of a sweep."""
    from hydra.utils import instantiate

    launcher = HydraConfig.get().launcher if HydraConfig.initialized() else None
    if launcher is None or not launcher["_target_"].startswith(LAUNCHERS) or HydraConfig.get().mode != RunMode.RUN:
        yield None
        return
    settings = copy.deepcopy(launcher.executor)
    settings._set_parent(launcher)
    if "folder" in settings:  # which is a sweep's
        with read_write(settings):
            settings.folder = str(folder.absolute() / ".submitit")
    with instantiate(settings) as executor:
        yield executor
