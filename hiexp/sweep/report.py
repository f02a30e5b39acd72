"""What a sweep leaves behind: ranking, verdict, pairs, pictures and page, all made from one comparison."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from hiexp.comparison.html import write_page
from hiexp.comparison.pairs import with_pairs
from hiexp.comparison.png import draw_learning_curve, draw_scores
from hiexp.comparison.runs import Comparison, Run
from hiexp.comparison.search import with_search_verdict
from hiexp.comparison.text import csv_table
from hiexp.comparison.verdict import with_verdict
from hiexp.evaluation.metrics import INNER, table_scores
from hiexp.plots.formats import with_pdf
from hiexp.printable import printable
from hiexp.run.files import LEARNING_CURVE_PICTURE, PAGE_FILE, RANKING_FILE, RANKING_PICTURE
from hiexp.run.summary import display_path
from hiexp.writing import staged, write_whole


def judged(comparison: Comparison, folder: Path, seed: int, n_draws: int | None, paired: str | None) -> Comparison:
    """Return a ranked sweep that has ended with its verdict and the differences between values of one key.

    Parameters
    ----------
    comparison : Comparison
        Ranked; a job that has not ended has died.
    folder : Path
        The sweep's folder, which receives ``sweep.json``, ``pairs.json`` and ``pairs.csv``.
    seed : int
        Seed of permutations and bootstrap samples.
    n_draws : int or None
        Permutations and bootstrap samples, as many as of each run; None for fits.
    paired : str or None
        The key.
    """
    table = printable(display_path(folder / RANKING_FILE))
    comparison = replace(comparison, runs=tuple(map(_ended, comparison.runs)), table=table)
    if comparison.search and n_draws:
        comparison = with_search_verdict(comparison, folder, seed, n_draws)
    elif n_draws:
        comparison = with_verdict(comparison, folder, seed, n_draws)
    return with_pairs(comparison, paired, folder) if paired else comparison


def _ended(run: Run) -> Run:
    if run.state != "not finished":
        return run
    return replace(run, state="failed", reason=run.reason or "the process died without an error message")


def verdict_metrics(comparison: Comparison) -> dict[str, float]:
    """Return the numbers of the verdict for the run that stands for the sweep; none without a verdict."""
    searched, verdict = comparison.searched(), comparison.judged()
    if searched:
        measure, best = comparison.measure.removeprefix(INNER), searched["job"]
        numbers = {
            f"{INNER}{measure}": searched["inner"],
            measure: searched["score"],
            f"chance_{measure}": searched["chance"],
            f"chance95_{measure}": searched["chance95"],
            f"p_{measure}": searched["p"],
            f"optimism_{measure}": searched["optimism"],
        }
    elif verdict:
        measure, best = verdict["measure"], verdict["best"]["job"]
        numbers = {
            measure: verdict["best"]["score"],
            f"corrected_{measure}": verdict["best"]["corrected"],
            f"chance_{measure}": verdict["maximum"]["mean"],
            f"chance95_{measure}": verdict["maximum"]["p95"],
            f"p_{measure}": verdict["best"]["p_family"],
        }
    else:
        return {}
    of_best = next(run.metrics for run in comparison.done if run.name == best)
    beside = (f"yardstick_{measure}", f"{measure}_minus_yardstick")
    return {name: of_best[name] for name in beside if name in of_best} | numbers


def write_report(comparison: Comparison, folder: Path) -> list[str]:
    """Write ``ranking.csv``, pictures and page of a judged sweep into its folder; return lines that say where."""
    if not comparison.done:
        return []
    write_whole(folder / RANKING_FILE, csv_table(comparison))
    lines = []
    scored = any(math.isfinite(run.number(comparison.measure)) for run in comparison.done)
    if scored and comparison.measure in table_scores():
        with staged(folder) as stage, with_pdf():
            draw_scores(comparison, stage / RANKING_PICTURE)
            draw_learning_curve(comparison, stage / LEARNING_CURVE_PICTURE)
        lines.append(f"scores in a figure:  {display_path(folder / RANKING_PICTURE)}")
    if "n_test" in comparison.done[0].metrics:  # classifications, not fits alone
        page = write_page(comparison, folder / PAGE_FILE)
        lines.append(f"everything on one page:  {display_path(page)}")
    return lines
