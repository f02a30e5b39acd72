"""Runs side by side: ``python -m hiexp.compare [FILTER ...] [--sweep FOLDER] [--control SWEEP ...]``."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.commandline import start
from hiexp.errors import InputError

if TYPE_CHECKING:  # --help waits for nothing
    from hiexp.runs import Comparison
    from hiexp.store import Store

URI = "sqlite:///mlruns/mlflow.db"
ON_SCREEN = 60  # runs, unless --top asks for more
EXAMPLES = """\
filters:
  key=value, key=a,b, key!=value    a setting: classifier=knn  test_size=0.3,0.5  'classifier!=svm'
  'key<value', 'key>=value'         a setting or a metric: 'balanced_accuracy>=0.5'

examples:
  python -m hiexp.compare                                      the latest sweep
  python -m hiexp.compare --sort balanced_accuracy test_size=0.3
  python -m hiexp.compare --sweep runs/2026-11-22/12-00-00.000000_sweep --html report.html
  python -m hiexp.compare --experiment hiexp --csv runs.csv --latex runs.tex
  python -m hiexp.compare test_size=0.3 --sweep FOLDER --control FOLDER_OF_CONTROLS
"""


def arguments() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m hiexp.compare",
        description="List the runs of a sweep or an experiment, best first, with their chance levels.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("filters", nargs="*", metavar="FILTER", help="keep the runs that pass every filter")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--sweep", metavar="FOLDER", help="a sweep's folder, or latest (the default)")
    which.add_argument("--experiment", metavar="NAME", help="all runs of an MLflow experiment")
    parser.add_argument(
        "--control",
        nargs="+",
        default=[],
        metavar="SWEEP",
        help="p of the best against sweeps with labels=random seed=1,2,...: folders or experiments, filters first",
    )
    parser.add_argument(
        "--sort", metavar="METRIC", help="rank by this metric (success_rate; of fits median_chi2_dof)"
    )
    parser.add_argument("--top", type=_count, metavar="N", help=f"only the best N (on the screen {ON_SCREEN})")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one page, complete in itself")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a table of every metric")
    parser.add_argument("--latex", type=Path, metavar="FILE", help="write a table for a paper (booktabs)")
    parser.add_argument("--uri", default=URI, help=f"the MLflow store ({URI}), or a server's http://...")
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count


def read(sweep: str | None, experiment: str | None, uri: str) -> Comparison:
    """Return the runs of a sweep or an experiment, from their folders or from the store.

    Parameters
    ----------
    sweep : str or None
        A sweep's folder or "latest".
    experiment : str or None
        An experiment of the store. With neither: the latest sweep.
    uri : str
        The store.

    Raises
    ------
    InputError
        If there are no such runs.
    """
    from hiexp.runs import read_sweep

    if experiment is not None:
        return _store(uri).experiment(experiment)
    latest = sweep in (None, "latest")
    if latest and uri == URI:
        folders = sorted({file.parents[2] for file in Path("runs").glob("*/*_sweep*/*/.hydra/overrides.yaml")})
        if folders:
            return read_sweep(folders[-1])
        if not Path(uri.removeprefix("sqlite:///")).exists():
            raise InputError(
                "no sweep in runs/ and no store in mlruns/: type this in the folder where the runs were started, "
                "or give --sweep FOLDER or --uri"
            )
    elif not latest and Path(sweep).is_dir():
        return read_sweep(Path(sweep))
    store = _store(uri)
    parents = store.sweeps()
    if not latest:
        wanted = str(Path(sweep).absolute())
        parents = [parent for parent in parents if parent.data.tags.get("folder") == wanted]
    if not parents:
        raise InputError(
            f"sweep {sweep or 'latest'}: no such folder, and no such sweep in {uri}; --experiment NAME takes all "
            f"runs of an experiment: {', '.join(store.experiments)}"
        )
    return store.sweep(parents[0])


def read_control(name: str, uri: str) -> Comparison:
    """Return the runs of a sweep, from its folder or the store, or of an experiment of the store.

    Raises
    ------
    InputError
        If there is neither.
    """
    experiment = not Path(name).is_dir() and name in _store(uri).experiments
    return read(None, name, uri) if experiment else read(name, None, uri)


def _store(uri: str) -> Store:
    from hiexp.store import Store

    return Store(uri)


def compare(options: argparse.Namespace, words: list[str]) -> str:
    """Write the files that are asked for and return what the screen says.

    Parameters
    ----------
    options : Namespace
        Of `arguments`.
    words : list of str
        What was typed.
    """
    from hiexp.folders import write_named
    from hiexp.tables import control_text, csv_table, heading, latex_table, screen_table, verdict_text

    found = read(options.sweep, options.experiment, options.uri)
    comparison = found.where(options.filters).ranked(options.sort)
    if options.control:
        from hiexp.control import against_controls

        _refuse_metrics(options.filters, found)
        comparison = against_controls(comparison, [read_control(name, options.uri) for name in options.control])
    if options.top:
        comparison = comparison.best(options.top)
    width = shutil.get_terminal_size((120, 24)).columns
    lines = [*textwrap.wrap(heading(comparison), width), ""]
    if comparison.done:
        lines += [screen_table(comparison, width, options.top or ON_SCREEN), ""]
    lines += textwrap.wrap(verdict_text(comparison), width)
    lines += textwrap.wrap(control_text(comparison), width)
    lines += [f"{run.state.upper()}  {run.name}  {run.reason}" for run in comparison.others]
    lines += [f"LEFT OUT  {reason}" for reason in comparison.damaged]
    if options.csv:
        write_named(options.csv, csv_table(comparison))
    if options.latex:
        write_named(options.latex, latex_table(comparison))
    if options.html:
        from hiexp.report import write_page

        write_page(comparison, options.html)
    return "\n".join([*lines, *_next(comparison, options, words)])


def _refuse_metrics(filters: list[str], found: Comparison) -> None:
    """Raise an `InputError` at a filter that chooses by what came out: controls were not chosen so."""
    from hiexp.runs import FILTER

    settings = {key for run in found.runs for key in run.settings}
    for text in filters:
        if FILTER.fullmatch(text)["key"] not in settings:
            raise InputError(
                f"{text}: a filter by scores would favour the sweep over its controls; filter by settings"
            )


def _next(comparison: Comparison, options: argparse.Namespace, words: list[str]) -> list[str]:
    """Say what was written and what to type next."""
    from hiexp.summary import python_command, shown

    files = {"page": options.html, "table": options.csv, "LaTeX": options.latex}
    lines = [f"{what:5}  {shown(file)}" for what, file in files.items() if file]
    if not options.html:
        again = shlex.join([*words, "--html", "report.html"])
        lines.append(f"all of it on one page:  {python_command()} -m hiexp.compare {again}")
    elif comparison.done and comparison.done[0].command:
        lines.append(f"the best again:  {comparison.done[0].command}")
    return lines


def main() -> None:
    """Compare the runs that the command line asks for."""
    words = sys.argv[1:]
    try:
        sys.stdout.write(compare(arguments().parse_intermixed_args(words), words) + "\n")
    except (InputError, OSError) as error:  # the latter name the file that cannot be written
        sys.exit(f"hiexp.compare: {error}")


if __name__ == "__main__":
    start(main)
