"""What a sweep does before its first job and after its last."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.experimental.callback import Callback
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hiexp.summary import python_command, shown

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

METRICS_FILE, ERROR_FILE = "metrics.json", "error.txt"  # a job's folder has one of them when it has ended
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


class SweepSummary(Callback):
    """Make the store ready for the jobs; rank them when they are done and say which failed."""

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        """Create the store once, before jobs that may run in parallel find none."""
        instantiate(config.tracking).prepare()

    def on_multirun_end(self, config: DictConfig, **kwargs: object) -> None:
        """Print the ranking, write it as ``ranking.csv``, and exit with 1 if a job failed."""
        import pandas as pd

        from hiexp.plots import plot_learning_curve
        from hiexp.report import write_page

        folder = Path(config.hydra.sweep.dir)
        jobs = [file.parents[1] for file in folder.rglob(".hydra/overrides.yaml")]
        jobs.sort(key=lambda job: (len(job.name), job.name))  # 2 before 10
        done = [job for job in jobs if (job / METRICS_FILE).exists()]
        failed = [job for job in jobs if job not in done]
        settings = _settings(jobs)
        lines = [""]
        reasons = [(job.name, settings[job], _reason(job)) for job in failed]
        if done:
            ranking = rank(pd.DataFrame([_row(job, settings[job]) for job in done]))
            ranking.to_csv(folder / "ranking.csv", index=False)
            lines += [_ranking_text(ranking), ""]
            if "n_test" in ranking:  # classifications, not fits alone
                plot_learning_curve(ranking, folder / "learning_curve.png")
                page = write_page(ranking, reasons, folder, _command(config))
                lines.append(f"everything on one page:  {shown(page)}")
        lines += [f"FAILED  {name}  {words}\n        {reason}" for name, words, reason in reasons]
        lines.append(f"{len(done)} of {len(jobs)} jobs done, {len(failed)} failed; all of it in {shown(folder)}")
        ui = instantiate(config.tracking).hint(python_command())
        if ui:
            lines.append(f"compare runs in a browser:  {ui}")
        log.info("\n".join(lines))
        if failed:
            # Hydra turns exceptions raised in a callback into warnings; an exit it lets pass.
            sys.exit(1)


def _command(config: DictConfig) -> str:
    """Return the command of the sweep."""
    hydra = config.hydra
    return f"python -m hiexp.{hydra.job.name} -m {shlex.join([*hydra.overrides.task, *hydra.overrides.hydra])}"


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


def _settings(jobs: list[Path]) -> dict[Path, str]:
    """Return what was set in each job and not in all of them."""
    overrides = {job: list(OmegaConf.load(job / ".hydra" / "overrides.yaml")) for job in jobs}
    common = set.intersection(*map(set, overrides.values())) if len(jobs) > 1 else set()
    return {job: " ".join(word for word in words if word not in common) for job, words in overrides.items()}


def _row(job: Path, settings: str) -> dict[str, object]:
    return {"job": job.name, "settings": settings} | json.loads((job / METRICS_FILE).read_text())


def _ranking_text(ranking: pd.DataFrame) -> str:
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


def _reason(job: Path) -> str:
    error = job / ERROR_FILE
    return error.read_text().partition("\n\n")[0] if error.exists() else "the process ended without a word"
