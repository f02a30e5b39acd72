"""The metric table: every number that runs are compared by, with its name, title, digits, unit, direction and place.

A new score of hiexp's own is a function of confusion tables in `hiexp.evaluation.confusion` and a row here: it is
then computed with its interval and chance level, logged, and shown wherever its row says. Scores of a user's own, of
the group ``metrics``, have no row: of those whose name ends with ``_loss`` or ``_error`` less is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hiexp.evaluation.confusion import accuracy, balanced_accuracy, macro_f1, success_rate

DEFAULT_MEASURES = ("success_rate", "median_chi2_dof", "agreement", "n_good")
OF_SCORES = ("low_", "high_", "chance_", "chance95_")  # what runs tell of each score beside its value
INNER = "inner_"  # of an inner validation part: what a search is steered by
LESS_IS_BETTER = ("_seconds", "_loss", "_error")  # the last two as scikit-learn names its metrics
NEARLY = 0.8
Place = Literal["run", "yardstick", "ranking", "paper", "pairs", "groups", "cost"]


@dataclass(frozen=True)
class Metric:
    """What is known of a metric beside its values.

    Attributes
    ----------
    title : str
        Name as people write it.
    short : str
        Title where room is short.
    digits : int
        Decimal places.
    unit : str
        Unit of the values; empty for pure numbers.
    greater_is_better : bool
        Whether the run with the greater value is the better one.
    shown : tuple of str
        Where it stands beside what a ranking is by: in the closing table of a "run" and its details on the page, in
        the lines that hold it against a "yardstick", as a column of a "ranking" on the screen and the page, in the
        LaTeX table of a "paper", in the comparison of "pairs", in the page's tables of "groups" and of "cost". CSV
        and MLflow have all metrics.
    meaning : str
        What it is, where the title does not tell.
    of_tables : callable or None
        Function from confusion tables, shape (..., K, K), to scores, shape (...); None where it is computed from
        something else.
    """

    title: str
    short: str = ""
    digits: int = 3
    unit: str = ""
    greater_is_better: bool = True
    shown: tuple[Place, ...] = ()
    meaning: str = ""
    of_tables: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def column(self) -> str:
        """Heading of a column, with the unit."""
        return (self.short or self.title) + (f" ({self.unit})" if self.unit else "")


METRICS = {
    "balanced_accuracy": Metric(
        "balanced accuracy",
        "balanced",
        shown=("run", "yardstick", "ranking", "paper", "pairs"),
        of_tables=balanced_accuracy,
    ),
    "accuracy": Metric("accuracy", shown=("run", "yardstick", "ranking", "pairs"), of_tables=accuracy),
    "macro_f1": Metric("macro f1", shown=("run", "ranking"), of_tables=macro_f1),
    "success_rate": Metric(
        "success rate",
        "success",
        shown=("run", "ranking", "pairs"),
        meaning="the highest accuracy over all relabelings of the classes",
        of_tables=success_rate,
    ),
    "yardstick_balanced_accuracy": Metric(
        "balanced accuracy without learning", "balanced by rule", shown=("ranking", "paper")
    ),
    "balanced_accuracy_minus_yardstick": Metric(
        "balanced accuracy minus that", "minus rule", shown=("ranking", "paper")
    ),
    "log_loss": Metric("log loss", greater_is_better=False, shown=("run", "ranking")),
    "brier": Metric("brier", greater_is_better=False, shown=("run",)),
    "expected_calibration_error": Metric("expected calibration error", greater_is_better=False, shown=("run",)),
    "cluster_n_groups": Metric("groups", digits=0, shown=("ranking", "groups")),
    "cluster_noise_fraction": Metric("noise", digits=2, greater_is_better=False, shown=("groups",)),
    "cluster_silhouette": Metric("silhouette", digits=2, shown=("groups",)),
    "cluster_stability": Metric("stability", digits=2, shown=("groups",)),
    "cluster_tree": Metric("balanced accuracy of a tree on measurements", "tree", digits=2, shown=("groups",)),
    "cluster_tree_w50": Metric("balanced accuracy of a tree on W50", "tree on W50", digits=2, shown=("groups",)),
    "cluster_adjusted_rand": Metric("adjusted Rand index against the reference", "ARI", digits=2, shown=("groups",)),
    "agreement": Metric(
        "agreement",
        shown=("ranking", "groups"),
        meaning="the share of held-out objects put into the same group by classifier and clusterer, fitted on others",
    ),
    "n_good": Metric("fitted", digits=0, shown=("ranking",)),
    "n_failed": Metric("failed", digits=0, greater_is_better=False, shown=("ranking",)),
    "median_chi2_dof": Metric(
        "median chi2/dof", greater_is_better=False, meaning="the median of the objects fitted; none without a model"
    ),
    **{
        f"{stage}_seconds": Metric(stage, digits=2, unit="s", greater_is_better=False, shown=("cost",))
        for stage in ("fit", "labels", "feature", "train", "predict")
    },
    "peak_memory_mb": Metric("memory", digits=0, unit="MB", greater_is_better=False),
}


def shown_in(place: Place) -> dict[str, Metric]:
    """Return the metrics that are shown in a place, by name and in order."""
    return {name: metric for name, metric in METRICS.items() if place in metric.shown}


def table_scores() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return the scores that are functions of confusion tables, by name."""
    return {name: metric.of_tables for name, metric in METRICS.items() if metric.of_tables}


def measure_of(names: Collection[str]) -> str:
    """Return what runs with such metrics are ranked by: the success rate; of fits alone their median chi2/dof."""
    return next((name for name in DEFAULT_MEASURES if name in names), DEFAULT_MEASURES[0])


def standing(metrics: Mapping[str, float], measure: str) -> tuple[bool, bool, float]:
    """Return a sort key that has the best run first, and those without the measure last.

    By success rate, runs that put everything into one class come after the others, as in the study (Jaimes-Illanes et
    al. 2025, arXiv:2501.11657).
    """
    value = metrics.get(measure, math.nan)
    if not math.isfinite(value):
        return True, False, 0.0
    useless = measure == "success_rate" and metrics.get("n_predicted_classes") == 1
    return False, useless, -value if metric(measure).greater_is_better else value


def groups_of_width(metrics: Mapping[str, float]) -> bool:
    """Return whether a tree of W50 alone tells a clusterer's groups nearly as well as one of all that is measured.

    That is with more than 0.8 of what the latter's balanced accuracy is above chance, where it is significantly so.
    """
    names = ("cluster_tree", "chance_cluster_tree", "chance95_cluster_tree", "cluster_tree_w50")
    every, chance, chance95, alone = (metrics.get(name, math.nan) for name in names)
    return every > chance95 and alone - chance > NEARLY * (every - chance)


def metric(name: str) -> Metric:
    """Return what is known of a metric; of one without a row what its name tells."""
    if name in METRICS:
        return METRICS[name]
    if name.removeprefix(INNER) in METRICS:
        of_test = METRICS[name.removeprefix(INNER)]
        return replace(
            of_test, title=f"inner {of_test.title}", short=f"inner {of_test.short or of_test.title}", shown=()
        )
    of = next((name.removeprefix(prefix) for prefix in OF_SCORES if name.startswith(prefix)), "")
    less = name.startswith("p_") or name.endswith(LESS_IS_BETTER) or (of and not metric(of).greater_is_better)
    return Metric(name.replace("_", " "), greater_is_better=not less)
