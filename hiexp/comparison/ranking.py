"""The jobs of a sweep in order of their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from hiexp.evaluation import SweepVerdict

COLUMNS = {  # title and format of the metrics on the screen
    "cluster_n_groups": ("groups", ".0f"),
    "agreement": ("agreement", ".3f"),
    "success_rate": ("success", ".3f"),
    "chance_success_rate": ("chance", ".3f"),
    "p_success_rate": ("p", ".3f"),
    "balanced_accuracy": ("balanced", ".3f"),
    "accuracy": ("accuracy", ".3f"),
    "train_seconds": ("seconds", ".2f"),
}
FIT_COLUMNS = {
    "n_good": ("fitted", ".0f"),
    "n_failed": ("failed", ".0f"),
    "median_chi2_dof": ("chi2/dof", ".3f"),
    "fit_seconds": ("seconds", ".2f"),
}
NOTE = "success: the highest accuracy over all relabelings; chance: its mean under permuted classes, p beside it"
AGREEMENT_NOTE = "agreement: of classifier and clusterer on held-out objects that neither was fitted on"
FIT_NOTE = "chi2/dof: the median of the objects fitted; empty where the fit has no model"


def rank(results: pd.DataFrame) -> pd.DataFrame:
    """Sort jobs by success rate; those that put everything into one class come last, as in the study.

    Parameters
    ----------
    results : DataFrame
        One row a job, with the metrics of a run; without ``success_rate`` fits come by ``median_chi2_dof``, and
        the order of anything else stays.
    """
    if "success_rate" not in results and "median_chi2_dof" in results:
        return results.sort_values("median_chi2_dof", kind="stable")
    if "success_rate" not in results:
        return results
    useful = results["n_predicted_classes"] > 1
    order = results.assign(useful=useful).sort_values(["useful", "success_rate"], ascending=False, kind="stable")
    return order.drop(columns="useful")


def ranking_text(ranking: pd.DataFrame) -> str:
    """Return the table that the screen shows, and what its columns mean."""
    titles, notes = (FIT_COLUMNS, [FIT_NOTE]) if "n_good" in ranking else (COLUMNS, [NOTE])
    if "agreement" in ranking:
        notes.append(AGREEMENT_NOTE)
    columns = {name: shown for name, shown in titles.items() if name in ranking}
    table = ranking[["job", *columns, "settings"]].copy()
    for name, (_, form) in columns.items():
        table[name] = ["" if value != value else format(value, form) for value in ranking[name]]  # NaN: no value
    table["settings"] = " " + table["settings"]
    text = table.rename(columns={name: title for name, (title, _) in columns.items()}).to_string(index=False)
    return "\n".join([text, *notes])


def best_text(ranking: pd.DataFrame, verdict: SweepVerdict) -> str:
    """Return the line that the study prints, the best configuration and its score, and what it is worth."""
    best, maximum, measure = verdict.best, verdict.maximum, verdict.measure.replace("_", " ")
    settings = ranking.set_index("job")["settings"][best["job"]]
    n, n_alike = len(verdict.configurations), int(verdict.configurations["indistinguishable_from_best"].sum()) - 1
    return "\n".join(
        [
            f"best    {settings or best['job']}: {measure} {best['score']:.3f}",
            f"chance  the best of {n} by chance has {maximum['mean']:.3f} (5-95 %: {maximum['p05']:.3f} to "
            f"{maximum['p95']:.3f}); permutation p = {best['p_family']:.3f}",
            f"        corrected for selection bias: {best['corrected']:.3f} ({best['corrected_low']:.3f} to "
            f"{best['corrected_high']:.3f}); {n - 1 - n_alike or 'none'} of the other {n - 1} "
            f"{'differ' if n - 1 - n_alike > 1 else 'differs'} significantly from the best",
            "        a small p says that predictions and classes are related, not that the labels taught it; the "
            "control is the same sweep with labels=random seed=1,2,...: python -m hiexp.compare --control",
        ]
    )
