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
    search = comparison.searched()
    if search:
        name = comparison.measure.removeprefix(INNER)
        return {
            f"{INNER}{name}": search["inner"],
            name: search["score"],
            f"chance_{name}": search["chance"],
            f"chance95_{name}": search["chance95"],
            f"p_{name}": search["p"],
            f"optimism_{name}": search["optimism"],
        }
    verdict = comparison.judged()
    if not verdict:
        return {}
    best, chance, measure = verdict["best"], verdict["maximum"], verdict["measure"]
    of_best = next(run.metrics for run in comparison.done if run.name == best["job"])
    beside = {
        name: of_best[name] for name in (f"yardstick_{measure}", f"{measure}_minus_yardstick") if name in of_best
    }
    return beside | {
        measure: best["score"],
        f"corrected_{measure}": best["corrected"],
        f"chance_{measure}": chance["mean"],
        f"chance95_{measure}": chance["p95"],
        f"p_{measure}": best["p_family"],
    }


def write_report(comparison: Comparison, folder: Path) -> list[str]:
    """Write ``ranking.csv``, pictures and page of a judged sweep into its folder; return lines that say where."""
    if not comparison.done:
        return []
    write_whole(folder / RANKING_FILE, csv_table(comparison))
    lines = []
    scored = any(math.isfinite(run.number(comparison.measure)) for run in comparison.done)
    if scored and comparison.measure in table_scores():
        with staged(folder) as stage:
            draw_scores(comparison, stage / RANKING_PICTURE)
            draw_learning_curve(comparison, stage / LEARNING_CURVE_PICTURE)
        lines.append(f"scores in a figure:  {display_path(folder / RANKING_PICTURE)}")
    if "n_test" in comparison.done[0].metrics:  # classifications, not fits alone
        page = write_page(comparison, folder / PAGE_FILE)
        lines.append(f"everything on one page:  {display_path(page)}")
    return lines
