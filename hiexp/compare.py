"""Runs side by side: ``python -m hiexp.compare [root=FOLDER] [FILTER ...] [--sweep FOLDER]``."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.commandline import start
from hiexp.configs import store_uri
from hiexp.errors import InputError
from hiexp.run.files import PREDICTIONS_FILE

if TYPE_CHECKING:  # --help waits for nothing
    from hiexp.comparison.mlflow_runs import Store
    from hiexp.comparison.runs import Comparison

EXAMPLES = """\
root=FOLDER                         compare runs below another folder, as in  python -m hiexp.train root=FOLDER

filters:
  key=value, key=a,b, key!=value    a setting: classifier=knn  test_size=0.3,0.5  'classifier!=svm'
  'key<value', 'key>=value'         a setting or a metric: 'balanced_accuracy>=0.5'

examples:
  python -m hiexp.compare                                      the latest sweep
  python -m hiexp.compare --sort balanced_accuracy test_size=0.3
  python -m hiexp.compare --sweep runs/2026-11-22/12-00-00.000000_sweep --html report.html
  python -m hiexp.compare --experiment hiexp --csv runs.csv --latex runs.tex
  python -m hiexp.compare --uri http://HOST:PORT --experiment galaxies --predictions table.json --columns id=name
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
    parser.add_argument(
        "--top", type=_count, metavar="N", help="only the best N (default: all, some on screen and page)"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one page, complete in itself")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a table of every metric")
    parser.add_argument("--latex", type=Path, metavar="FILE", help="write a table for a paper (booktabs)")
    parser.add_argument(
        "--predictions",
        default=PREDICTIONS_FILE,
        metavar="FILE",
        help=f"with --experiment: the table of predictions among a run's artefacts ({PREDICTIONS_FILE})",
    )
    parser.add_argument(
        "--columns",
        default="",
        metavar="id=NAME,reference=NAME,predicted=NAME",
        help="with --experiment: what its columns are called, where not id, reference, predicted",
    )
    parser.add_argument(
        "--uri", help="another MLflow store than the one below root: http://..., postgresql://... or sqlite:///FILE"
    )
    return parser


def parsed(words: list[str]) -> argparse.Namespace:
    """Return what was typed; the last ``root=FOLDER`` is no filter but the attribute ``root``.

    Raises
    ------
    InputError
        If the root is no folder.
    """
    options = arguments().parse_intermixed_args(words)
    roots = [word for word in options.filters if word.startswith("root=")]
    options.filters = [word for word in options.filters if word not in roots]
    options.root = roots[-1].removeprefix("root=") if roots else "."
    if not Path(options.root).is_dir():
        raise InputError(f"root={options.root}: no such folder")
    return options


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1 up")
    return int(text)


def read(sweep: str | None, experiment: str | None, uri: str | None, root: str) -> Comparison:
    """Return the runs of a sweep or an experiment, from their folders or from the store.

    Parameters
    ----------
    sweep : str or None
        A sweep's folder or "latest".
    experiment : str or None
        An experiment of the store. With neither: the latest sweep.
    uri : str or None
        The store. None for the one below the root.
    root : str
        The folder that has runs/ and mlruns/.

    Raises
    ------
    InputError
        If there are no such runs.
    """
    from hiexp.comparison.runs import read_sweep
    from hiexp.run.membership import jobs_of, sweeps_below

    if experiment is not None:
        return _store(uri, root).experiment(experiment)
    named = None if sweep in (None, "latest") else Path(sweep)
    if named is None and uri is None:
        if sweeps := [folder for folder in sweeps_below(Path(root, "runs")) if jobs_of(folder)]:
            return read_sweep(sweeps[-1])
        if not Path(root, "mlruns").exists():
            raise InputError(
                "no sweep in runs/ and no store in mlruns/: type this in the folder where the runs were started, "
                "or give root=FOLDER, --sweep FOLDER or --uri"
            )
    elif named is not None and named.is_dir():
        return read_sweep(named)
    store = _store(uri, root)
    parents = store.sweeps()
    if named is not None:
        parents = [parent for parent in parents if parent.data.tags.get("folder") == str(named.absolute())]
    if not parents:
        raise InputError(
            f"sweep {sweep or 'latest'}: no such folder, and no such sweep in {store.uri}; --experiment NAME takes "
            f"all runs of an experiment: {', '.join(store.experiments)}"
        )
    return store.sweep(parents[0])


def read_control(name: str, uri: str | None, root: str) -> Comparison:
    """Return the runs of a sweep, from its folder or the store, or of an experiment of the store.

    Raises
    ------
    InputError
        If there is neither.
    """
    experiment = not Path(name).is_dir() and name in _store(uri, root).experiments
    return read(None, name, uri, root) if experiment else read(name, None, uri, root)


def _store(uri: str | None, root: str) -> Store:
    from hiexp.comparison.mlflow_runs import Store

    return Store(uri or store_uri(root))


def compare(options: argparse.Namespace, words: list[str]) -> str:
    """Write the files that are asked for and return what the screen says.

    Parameters
    ----------
    options : Namespace
        What `parsed` returns.
    words : list of str
        What was typed.
    """
    from hiexp.comparison.text import csv_table, latex_table, report_text
    from hiexp.run.summary import display_path
    from hiexp.writing import write_named

    found = read(options.sweep, options.experiment, options.uri, options.root)
    if options.experiment is None:
        comparison = found.where(options.filters).ranked(options.sort)
    else:
        from hiexp.comparison.any_code import Columns, scored_by_tables, with_any_verdict

        found, tables = scored_by_tables(found, options.predictions, Columns.of(options.columns))
        comparison = found.where(options.filters).ranked(options.sort)
        if not _by_metrics(options.filters, found):  # a verdict on runs that were chosen by their scores is none
            comparison = with_any_verdict(comparison, tables)
    if options.control:
        from hiexp.comparison.controls import against_controls

        for text in _by_metrics(options.filters, found):
            raise InputError(
                f"{text}: a filter by scores would favour the sweep over its controls; filter by settings"
            )
        comparison = against_controls(
            comparison, [read_control(name, options.uri, options.root) for name in options.control]
        )
    if options.top:
        comparison = comparison.best(options.top)
    if options.csv:
        write_named(options.csv, csv_table(comparison))
        comparison = replace(comparison, table=display_path(options.csv))
    if options.latex:
        write_named(options.latex, latex_table(comparison))
    if options.html:
        from hiexp.comparison.html import write_page

        write_page(comparison, options.html, options.top)
    report = report_text(comparison, options.top)
    return "\n".join([report, "", *_next(comparison, options, words)])


def _by_metrics(filters: list[str], found: Comparison) -> list[str]:
    """Return the filters that choose by what came out."""
    from hiexp.comparison.runs import FILTER

    settings = {key for run in found.runs for key in run.settings}
    return [text for text in filters if (parts := FILTER.fullmatch(text)) and parts["key"] not in settings]


def _next(comparison: Comparison, options: argparse.Namespace, words: list[str]) -> list[str]:
    """Say what was written and what to type next."""
    from hiexp.run.summary import display_path, python_command

    files = {"page": options.html, "table": options.csv, "LaTeX": options.latex}
    lines = [f"{what:5}  {display_path(file)}" for what, file in files.items() if file]
    if not options.html:
        again = shlex.join([*words, "--html", "report.html"])
        lines.append(f"everything on one page:  {python_command()} -m hiexp.compare {again}")
    elif comparison.done and comparison.done[0].command:
        lines.append(f"the best again:  {comparison.done[0].command}")
    return lines


def main() -> None:
    """Compare the runs that the command line asks for."""
    words = sys.argv[1:]
    try:
        sys.stdout.write(compare(parsed(words), words) + "\n")
    except (InputError, OSError) as error:  # the latter name the file that cannot be written
        sys.exit(f"hiexp.compare: {error}")


def run() -> None:
    """Run the command as ``hiexp-compare`` or ``python -m hiexp.compare``."""
    start(main)


if __name__ == "__main__":
    run()
