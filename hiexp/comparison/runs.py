"""Runs to be compared: what was set, what came out, and where their files are."""

from __future__ import annotations

import difflib
import math
import operator
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiexp.errors import InputError
from hiexp.evaluation.metrics import INNER, measure_of, standing
from hiexp.long_tables import written_table
from hiexp.printable import printable
from hiexp.run.files import (
    CONFIG_FILE,
    ERROR_FILE,
    HYDRA_FILE,
    METRICS_FILE,
    PAIRS_FILE,
    PRUNED_FILE,
    RANKING_FILE,
    SEARCH_FILE,
    SWEEP_HYDRA_FILE,
    VERDICT_FILE,
)
from hiexp.run.membership import jobs_of
from hiexp.run.provenance import is_place
from hiexp.run.reading import (
    Pair,
    Search,
    SearchVerdict,
    Verdict,
    read_flat_config,
    read_job_settings,
    read_metrics,
    read_pairs,
    read_reason,
    read_search,
    read_sweep_settings,
    read_verdict,
)
from hiexp.run.reproduce import reproduce_command, sweep_command
from hiexp.run.summary import display_path

if TYPE_CHECKING:
    import pandas as pd

DERIVED = ("chance", "p_", "low_", "high_", "epsilon2_", "information_", "precision_", "recall_")
FILTER = re.compile(r"(?P<key>[^=!<>]+)(?P<sign>!=|<=|>=|=|<|>)(?P<value>.+)")
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Run:
    """One run; its words are `hiexp.printable.printable`, whoever has written them.

    Attributes
    ----------
    name : str
        Its number in the sweep, or its name in the store.
    settings : mapping of str to str
        The member chosen of each group and every value of the configuration under its dotted key.
    metrics : mapping of str to float
        Its numbers.
    command : str
        What has to be typed to repeat it.
    state : str
        "done", "failed", "pruned" (stopped by its search) or "not finished".
    reason : str
        Why it has failed, or which of its files is damaged.
    folder : str
        Where it wrote its files.
    file : callable
        From the name of one of its files to a path that can be read, or None where there is no such file.
    """

    name: str
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    command: str
    state: str
    reason: str
    folder: str
    file: Callable[[str], Path | None]

    def number(self, metric: str) -> float:
        """Return a metric; NaN where the run does not have it, or it is no finite number."""
        value = self.metrics.get(metric)
        return math.nan if value is None or math.isinf(value) else value

    def words(self, keys: Iterable[str]) -> str:
        """Return the run's values of some settings as they are given on the command line; those it lacks left out."""
        return " ".join(f"{key}={self.settings[key]}" for key in keys if self.settings.get(key))


@dataclass(frozen=True)
class Controls:
    """What the best of a sweep and the best of each control score.

    Attributes
    ----------
    score : float
        Score of the sweep's best.
    scores : dict of str to float
        Score of the best of each control, by the seed of its labels.
    n_configurations : int
        Configurations of the sweep, and so of each control.
    p : float
        The share of sweep and controls whose best is as good as the sweep's.
    """

    score: float
    scores: Mapping[str, float]
    n_configurations: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes
    ----------
    title : str
        What they are the runs of.
    command : str
        The command of the sweep; empty for the runs of an experiment.
    runs : tuple of Run
        As they were started, or ranked.
    verdict : Verdict or None
        What the best of the sweep is worth, as ``sweep.json`` has it.
    measure : str
        What they are ranked by; empty before.
    axes : list of str
        The settings that tell them apart, once they are ranked.
    pairs : list of Pair
        Differences between values of one key, as ``pairs.json`` has them.
    controls : Controls or None
        What the same configurations score with random training labels, as `against_controls` has it.
    damaged : tuple of str
        Which files of the sweep could not be read, and why.
    table : str
        The file that has every run, where there are too many of them to be shown; empty where there is none.
    search : Search or None
        Trials of a sweep that is a search, and what the chosen one is worth, as ``search.json`` has it.
    """

    title: str
    command: str
    runs: tuple[Run, ...]
    verdict: Verdict | None = None
    measure: str = ""
    axes: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    controls: Controls | None = None
    damaged: tuple[str, ...] = ()
    table: str = ""
    search: Search | None = None

    @property
    def done(self) -> list[Run]:
        """The runs that have ended well."""
        return [run for run in self.runs if run.state == "done"]

    @property
    def others(self) -> list[Run]:
        """The runs that have failed or not ended."""
        return [run for run in self.runs if run.state not in ("done", "pruned")]

    @property
    def pruned(self) -> list[Run]:
        """The runs that a search has stopped."""
        return [run for run in self.runs if run.state == "pruned"]

    def to_frame(self) -> pd.DataFrame:
        """Return a row a run, in their order: state, folder and command, then settings and metrics by name."""
        import pandas as pd

        rows = [
            {"state": run.state, "folder": run.folder, "command": run.command, **run.settings, **run.metrics}
            for run in self.runs
        ]
        return pd.DataFrame(rows, index=pd.Index([run.name for run in self.runs], name="run"))

    def best(self, count: int) -> Comparison:
        """Return the first `count` of the runs that have ended well, and all that have not."""
        return replace(self, runs=(*self.done[:count], *self.pruned, *self.others))

    def judged(self) -> Verdict | None:
        """Return the verdict where it is about the measure of this ranking, and its best is among the runs."""
        if not self.verdict or self.verdict["measure"] != self.measure:
            return None
        return self.verdict if self.verdict["best"]["job"] in {run.name for run in self.done} else None

    def searched(self) -> SearchVerdict | None:
        """Return what the chosen of a search is worth, where the ranking is by what has steered it."""
        if not self.search or self.measure != f"{INNER}{self.search['objective']}":
            return None
        verdict = self.search.get("verdict")
        return verdict if verdict and verdict["job"] in {run.name for run in self.done} else None

    def where(self, filters: Iterable[str]) -> Comparison:
        """Return the runs that pass every filter: ``key=a,b``, ``key!=a`` for settings, ``metric>0.5`` for metrics.

        Raises
        ------
        InputError
            If a filter cannot be read, names what no run has, or leaves no run.
        """
        runs = self.runs
        for text in filters:
            runs = _passing(runs, text)
        if len(runs) == len(self.runs):
            return self
        search = self.search.copy() if self.search else None
        if search:
            search.pop("verdict", None)
        return replace(self, runs=runs, verdict=None, pairs=[], search=search)  # what is said of all runs is left out

    def ranked(self, measure: str | None = None) -> Comparison:
        """Return the runs sorted by a metric, best first; those without it come last.

        Where no metric is named it is the success rate, of fits alone their median chi2/dof, of a search what has
        steered it.

        `hiexp.evaluation.metrics.standing` says which is better.

        Raises
        ------
        InputError
            If no run has the metric.
        """
        known = sorted({name for run in self.done for name in run.metrics})
        if measure is None:
            measure = f"{INNER}{self.search['objective']}" if self.search else measure_of(known)
        elif self.done and measure not in known:
            plain = [name for name in known if not name.startswith(DERIVED)]
            like = difflib.get_close_matches(measure, known, n=8, cutoff=0.4) or plain
            raise InputError(f"--sort {measure}: no run has that metric; there are {', '.join(like)}, ...")
        done = sorted(self.done, key=lambda run: standing(run.metrics, measure))
        runs = (*done, *self.pruned, *self.others)
        return replace(self, runs=runs, measure=measure, axes=axes(runs))


def typed_settings(command: str) -> dict[str, str]:
    """Return the keys and values that stand in a command."""
    try:
        # A sweep has thousands of commands; where nothing in them is quoted, words are what spaces part.
        plain = command.isascii() and not {"'", '"', "\\"} & {*command}
        typed = (command.split() if plain else shlex.split(command))[3:]
    except ValueError:  # a store may have half a command
        return {}
    words = [word.lstrip("+~").partition("=") for word in typed if "=" in word]
    return {key: value for key, _, value in words if not key.startswith(("-", "hydra.")) and not is_place(key)}


def axes(runs: Sequence[Run]) -> list[str]:
    """Return the settings that tell runs apart: those that stand in a command and are not the same in all runs.

    What was typed decides many keys at once (``classifier=knn`` all of ``classifier.*``), and those are no axes. Of
    runs without a command the keys at the top level are taken.
    """
    typed = dict.fromkeys(key for run in runs for key in typed_settings(run.command))
    keys = typed or dict.fromkeys(key for run in runs for key in run.settings if "." not in key and not is_place(key))
    return [key for key in keys if len({run.settings.get(key, "") for run in runs}) > 1]


def read_sweep(folder: str | Path) -> Comparison:
    """Read the folder of a sweep: a run a job, by number.

    Raises
    ------
    InputError
        If there is no job in it.
    """
    folder = Path(folder)
    jobs = jobs_of(folder)
    if not jobs:
        raise InputError(f"{folder}: no jobs of a sweep are in this folder; give runs/<date>/<time>_sweep")
    damaged: list[str] = []
    typed_once = _read(read_sweep_settings, folder / SWEEP_HYDRA_FILE, damaged)
    search = _read(read_search, folder / SEARCH_FILE, damaged)
    return Comparison(
        title=printable(f"{folder.parent.name}/{folder.name}"),
        command=sweep_command(typed_once) if typed_once else "",
        runs=tuple(_run_of_folder(job) for job in jobs),
        verdict=_read(read_verdict, folder / VERDICT_FILE, damaged),
        pairs=_read(read_pairs, folder / PAIRS_FILE, damaged) or [],
        damaged=tuple(damaged),
        table=printable(display_path(folder / RANKING_FILE)) if (folder / RANKING_FILE).exists() else "",
        search=search,
    )


def _run_of_folder(job: Path) -> Run:
    metrics, error = job / METRICS_FILE, job / ERROR_FILE
    damaged: list[str] = []
    hydra = _read(read_job_settings, job / HYDRA_FILE, damaged, needed=True)
    command = reproduce_command(hydra, sweeping=True) if hydra else ""
    chosen = hydra["runtime"]["choices"] if hydra else {}
    members = {
        printable(group): printable(str(name))
        for group, name in chosen.items()
        if name and not group.startswith("hydra/")
    }
    # It may have failed before its settings were complete.
    values = _read(read_flat_config, job / CONFIG_FILE, damaged) or {}
    numbers = {} if error.exists() else _read(read_metrics, metrics, damaged)
    if (job / PRUNED_FILE).exists():
        state, reasons = "pruned", [read_reason(job / PRUNED_FILE), *damaged]
    elif error.exists():
        state, reasons = "failed", [read_reason(error), *damaged]
    elif metrics.exists():
        state, reasons = "failed" if damaged else "done", damaged
    else:
        state, reasons = "not finished", damaged
    return Run(
        name=printable(job.name),
        settings=typed_settings(command) | members | values,
        metrics=numbers if state == "done" else {},
        command=command,
        state=state,
        reason="; ".join(reasons),
        folder=printable(str(job)),
        file=lambda name: found if (found := written_table(job / name)).exists() else None,
    )


def _read(read: Callable[[Path], Any], file: Path, damaged: list[str], *, needed: bool = False) -> Any:
    """Return what a file says, or None where it is missing or damaged; the latter is noted."""
    if not needed and not file.exists():
        return None
    try:
        return read(file)
    except InputError as error:
        damaged.append(printable(str(error)))
        return None


def _passing(runs: Sequence[Run], text: str) -> tuple[Run, ...]:
    """Return the runs that pass one filter."""
    parts = FILTER.fullmatch(text)
    if not parts:
        raise InputError(f"{text}: a filter is key=value, key=a,b, key!=value, or a number's key<value, key>=value")
    key, sign, wanted = parts["key"], parts["sign"], parts["value"]
    values = [run.settings.get(key, run.metrics.get(key)) for run in runs]
    if all(value is None for value in values):
        keys = dict.fromkeys(key for run in runs for key in (*run.settings, *run.metrics))
        like = difflib.get_close_matches(key, keys, n=4, cutoff=0.5)
        raise InputError(f"{text}: no run has {key!r}" + (f"; do you mean {', '.join(like)}?" if like else ""))
    if sign in ORDER:
        limit = _number(wanted)
        if math.isnan(limit):
            raise InputError(f"{text}: {wanted!r} is not a number")
        passing = [ORDER[sign](_number(value), limit) for value in values]
    else:
        passing = [(str(value) in wanted.split(",")) == (sign == "=") for value in values]
    if not any(passing):
        known = ", ".join(sorted({str(value) for value in values if value is not None})[:8])
        raise InputError(f"{text}: none of the {len(runs)} runs is left; {key} is {known}")
    return tuple(run for run, passes in zip(runs, passing, strict=True) if passes)


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan
