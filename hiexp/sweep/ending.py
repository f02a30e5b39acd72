"""The end of a sweep: ranking, verdict, pictures and page, and the run that stands for all of it."""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hiexp.run.files import RANKING_PICTURE, REUSED_FILE, RunFile
from hiexp.run.membership import FAILED, RUNNING, Sweep, noted_jobs
from hiexp.run.summary import display_path, python_command
from hiexp.tracking.mlflow_store import NOTE_TAG, PARENT_TAG, MlflowTracking, NoTracking, Record

if TYPE_CHECKING:
    from hiexp.comparison.runs import Comparison

log = logging.getLogger(__name__)


IN_NOTE = 20  # runs


@dataclass(frozen=True)
class Ending:
    """What it takes to end a sweep, in the process that has begun it or in one that a scheduler starts.

    Attributes
    ----------
    folder : Path
        The sweep's.
    tracking : MlflowTracking or NoTracking
        Where its run is recorded.
    record : Record
        The run that stands for the sweep.
    begun : bool
        Whether the store has that run.
    seed : int
        Seed of permutations and bootstrap samples.
    n_draws : int or None
        How many of them; None for fits.
    paired : str or None
        A key whose values are compared pair by pair.
    """

    folder: Path
    tracking: MlflowTracking | NoTracking
    record: Record
    begun: bool
    seed: int
    n_draws: int | None
    paired: str | None

    def finish(self) -> int:
        """Write and print what the sweep has come to, and return how many of its jobs have failed."""
        from hiexp.comparison.runs import read_sweep
        from hiexp.comparison.text import report_text
        from hiexp.sweep.report import judged, verdict_metrics, write_report

        folder, record = self.folder, self.record
        comparison = judged(read_sweep(folder).ranked(), folder, self.seed, self.n_draws, self.paired)
        n_all, n_failed, n_pruned = len(comparison.runs), len(comparison.others), len(comparison.pruned)
        reused = sum(run.file(REUSED_FILE) is not None for run in comparison.done)
        lines = ["", report_text(comparison), "", *write_report(comparison, folder)]
        taken = f", {reused} of them in an earlier run (tracking.reuse=false runs them again)" if reused else ""
        lines += [
            f"sort, filter, export:  {python_command()} -m hiexp.compare --sweep {display_path(folder)}",
            f"{len(comparison.done)} of {n_all} jobs done{taken}, {f'{n_pruned} pruned, ' * bool(n_pruned)}"
            f"{n_failed} failed; run folder {display_path(folder)}",
        ]
        record.tags[NOTE_TAG] = "\n\n".join(filter(None, [record.tags.get(NOTE_TAG), note(comparison, record)]))
        record.metrics |= verdict_metrics(comparison)
        record.metrics |= {"n_jobs": n_all, "n_failed": n_failed, "n_reused": reused}
        record.status = "FAILED" if n_failed else "FINISHED"
        self._end("FAILED")
        self.tracking.deliver(folder)
        if self.tracking.register and comparison.done:
            lines.append(self._registered(comparison))
        ui = self.tracking.hint(python_command())
        if ui:
            lines.append(f"compare runs in a browser:  {ui}")
        log.info("\n".join(lines))
        return n_failed

    def _registered(self, comparison: Comparison) -> str:
        """Register the model of the best run, with the verdict as its description; return what is said of it."""
        from hiexp.comparison.text import search_text, verdict_text

        best, said = comparison.done[0], search_text(comparison) or verdict_text(comparison)
        try:
            earlier = best.file(REUSED_FILE)
            run_id = json.loads(earlier.read_text())["run_id"] if earlier else None
            run = RunFile.read(Path(best.folder))  # which one that was taken over has not
            version = self.tracking.register_model(run.uid if run else "", run_id, said)
        except Exception as error:  # whatever a store has against it, the sweep is done
            return f"registered:  nothing, {self.tracking.uri} does not take it ({str(error).partition(chr(10))[0]})"
        if version is None:
            return "registered:  nothing, the best run has no model"
        return f"registered:  the model of run {best.name} as {version}"

    def abort(self, status: str) -> None:
        """Say of a sweep that did not come to its end how it ended, and of jobs that went with it."""
        for job in list(noted_jobs(self.folder, RUNNING)):
            replace(job, state=FAILED, said="stopped with the sweep", when=time.time()).write(self.folder)
        self.record.status = status
        self._end(status)

    def _end(self, status: str) -> None:
        """Record the sweep; jobs whose process was not given the time to say how it ended have this status."""
        self.tracking.end(self.record, self.folder, begun=self.begun)
        replace(Sweep.read(self.folder), status=self.record.status).write(self.folder)
        if self.record.run_id is not None:
            with suppress(Exception):  # a server may be away
                for run in self.tracking.runs({PARENT_TAG: self.record.run_id}, "RUNNING"):
                    self.tracking.close(run, status)


def note(comparison: Comparison, record: Record) -> str:
    """Return what the page of a sweep's run says, in Markdown: command, verdict, ranking, picture."""
    from hiexp.comparison.text import number, search_text, verdict_text
    from hiexp.evaluation.metrics import INNER

    measure, held_out = comparison.measure, comparison.measure.removeprefix(INNER)
    scores = {measure: measure, held_out: held_out, f"chance_{held_out}": "chance", f"p_{held_out}": "p"}
    heads = ["run", *comparison.axes, *scores.values()]
    rows = [
        [
            run.name,
            *(run.settings.get(key, "") for key in comparison.axes),
            *(number(run.number(name)) for name in scores),
        ]
        for run in comparison.done[:IN_NOTE]
    ]
    table = [" | ".join(cells) for cells in (heads, ["---"] * len(heads), *rows)]
    picture = f"![scores](get-artifact?path={RANKING_PICTURE}&run_uuid={record.run_id})"
    drawn = [picture] if record.run_id and (comparison.done and "n_test" in comparison.done[0].metrics) else []
    command = record.tags.get("command", "")
    said = search_text(comparison) or verdict_text(comparison)
    return "\n\n".join(filter(None, [f"`{command}`", said, "\n".join(table), *drawn]))
