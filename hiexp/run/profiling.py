"""Where the time of a run went."""

from __future__ import annotations

import cProfile
import logging
import pstats
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hiexp.configs import PACKAGE
from hiexp.run.files import PROFILE_FILE
from hiexp.run.summary import display_path

log = logging.getLogger(__name__)

SHOWN = 15  # rows of each table

Timings = Mapping[tuple[str, int, str], tuple[int, int, float, float, Any]]


@contextmanager
def profiled(cfg: DictConfig, folder: Path) -> Iterator[None]:
    """Profile the block if the settings say so: a table on the screen, ``profile.prof`` in the run's folder.

    Parameters
    ----------
    cfg : DictConfig
        The composed configuration of a command.
    folder : Path
        The run's.
    """
    if not cfg.profile:
        yield
        return
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        yield
    finally:
        profiler.disable()
        profiler.dump_stats(folder / PROFILE_FILE)
        timings: Any = pstats.Stats(profiler)
        log.info("%s", profile_table(timings.stats, timings.total_tt, folder / PROFILE_FILE))


def profile_table(timings: Timings, total: float, file: Path) -> str:
    """Return tables of functions that took long: those of this package with all they called, and all by themselves.

    Parameters
    ----------
    timings : mapping
        Calls and seconds of each function, by file, line and name, as `pstats.Stats` has them.
    total : float
        Seconds of all of them.
    file : Path
        Where the whole profile is.
    """
    own = {place: one for place, one in timings.items() if Path(place[0]).is_relative_to(PACKAGE)}
    tables = {
        "of hiexp, with what they call": sorted(own.items(), key=lambda item: -item[1][3])[:SHOWN],
        "of all code, by themselves": sorted(timings.items(), key=lambda item: -item[1][2])[:SHOWN],
    }
    lines = ["", f"{total:.2f} s in the main thread of this process, slower for being profiled. Functions"]
    for column, (title, rows) in zip((3, 2), tables.items(), strict=True):
        lines.append(f"{'seconds':>9}{'share':>7}{'calls':>9}  {title}")
        lines += [
            f"{one[column]:9.2f}{one[column] / (total or 1):7.0%}{one[1]:9d}  {_named(place)}" for place, one in rows
        ]
    return "\n".join([*lines, f"all of it    {display_path(file)}  (python -m pstats, snakeviz)"])


def _named(place: tuple[str, int, str]) -> str:
    """Return module and name of a function, or the name of one that is compiled."""
    file, line, name = place
    if file == "~":
        return name
    path = Path(file)
    if path.is_relative_to(PACKAGE):
        return f"{'.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts)}:{line} {name}"
    _, found, rest = file.partition("site-packages/")
    return f"{rest if found else path.name}:{line} {name}"
