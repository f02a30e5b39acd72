"""The pages that go with results others are to cite: ``CITATION.cff``, ``README.md``, and what each file has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from hiexp import __version__
from hiexp.errors import InputError
from hiexp.evaluation.metrics import metric, shown_in
from hiexp.run.citable import Work
from hiexp.run.files import (
    CONFIG_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    PROVENANCE_FILE,
    RANKING_FILE,
    RUN_FILE,
    SWEEP_HYDRA_FILE,
    VERDICT_FILE,
)
from hiexp.run.membership import DONE
from hiexp.run.reading import read_config, read_metrics, read_table, read_verdict

MEANINGS = {
    CONFIG_FILE: "Every setting of the run, resolved",
    METRICS_FILE: "Scores with intervals and chance levels, counts and seconds",
    PREDICTIONS_FILE: "A row an object: reference class, predicted class, probabilities",
    RANKING_FILE: "The runs of the sweep, best first, with their metrics",
    "fits.ecsv": "Position, widths, fluxes, S/N and flags of every line, with units",
    "fits.parquet": "Position, widths, fluxes, S/N and flags of every line",
    "profiles.parquet": "Spectrum and profile of each object in 64 samples, as a page shows them",
    "features.parquet": "Where the objects are in the space of the feature",
    "plots/": "Pictures",
    "model/": "The trained model, without pickle: hiexp.load_model",
    ".hydra/": "The command and the choices, as Hydra keeps them",
    "trained.json": "Whose model a prediction is by",
    VERDICT_FILE: "Whether the best of the sweep is the best",
    SWEEP_HYDRA_FILE: "The command of the sweep, as Hydra keeps it",
    "catalogue.csv": "What the catalogue says of each object",
    "dependence.csv": "How strongly the classes depend on parameters of the objects",
    "parameters_by_class.csv": "Medians of the objects' parameters by class",
    "sweep.html": "The sweep on one page",
    "sweep.png": "The scores of the sweep",
    "skipped.csv": "What could not be used, and why",
    "unmatched.csv": "What a catalogue and the spectra do not have in common",
    "table.tex": "The table of fits for a paper, LaTeX",
    "table.csv": "The table of fits, rounded to its errors",
    "table.mrt": "The table of fits as the AAS's machine-readable table",
    "table.vot": "The table of fits as VOTable",
    "fits_pass1.parquet": "The fits of the first pass",
    "fits_pass2.parquet": "The fits of the second pass",
    PROVENANCE_FILE: "The command, the versions of the code, and the samples",
    RUN_FILE: "SHA-256 of every result",
}
STUDY = {
    "type": "article",
    "title": "Classification of HI Galaxy Profiles using Unsupervised Learning and Convolutional Neural Networks",
    "authors": [{"family-names": "Jaimes-Illanes"}],
    "year": 2025,
    "notes": "arXiv:2501.11657",
}
BUSY_FUNCTION = {
    "type": "article",
    "title": "The busy function: a new analytic function for describing the integrated 21-cm spectral profile of "
    "galaxies",
    "authors": [{"family-names": "Westmeier"}],
    "journal": "Monthly Notices of the Royal Astronomical Society",
    "volume": 438,
    "start": 1176,
    "year": 2014,
}
BEST = 20  # of the jobs of a sweep, in its README


@dataclass(frozen=True)
class Author:
    """Who is to be cited, as ``FAMILY, GIVEN`` or one name."""

    family: str
    given: str = ""

    @classmethod
    def of(cls, text: str) -> Author:
        """Read a name.

        Raises
        ------
        InputError
            If there is none.
        """
        family, _, given = (" ".join(part.split()) for part in text.partition(","))
        if not family:
            raise InputError(f'--author {text!r}: give "FAMILY, GIVEN"')
        return cls(family, given)

    @property
    def citation(self) -> dict[str, str]:
        """As the Citation File Format has it."""
        return {"family-names": self.family, "given-names": self.given} if self.given else {"name": self.family}


def citation(work: Work, authors: Sequence[Author], licence: str | None = None) -> str:
    """Return ``CITATION.cff``: how to cite the work, the code that made it, and whose steps these are."""
    version = work.provenance["code_version"] if work.provenance else __version__
    hiexp = {"type": "software", "title": "hiexp", "authors": [{"name": "hiexp developers"}], "version": version}
    config = next((work.folder / path for path in work.files if path.name == CONFIG_FILE), None)
    settings = read_config(config) if config else {}
    fitted = settings.get("fit")
    busy = isinstance(fitted, dict) and fitted.get("_target_") == "hiexp.fitting.fit_busy"
    steps = [*([BUSY_FUNCTION] if busy else []), *([STUDY] if "classifier" in settings else [])]
    said = {
        "cff-version": "1.2.0",
        "message": "Please cite these results, the code that made them, and the source of the spectra.",
        "type": "dataset",
        "title": work.title,
        "authors": [author.citation for author in authors] or [{"name": "authors to be named here"}],
        "date-released": f"{work.ended:%Y-%m-%d}",
        **({"license": licence} if licence else {}),
        "references": [hiexp, *steps],
    }
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=118)


def readme(work: Work) -> str:
    """Return a page for people: what made it, what came out, what of it is where."""
    lines = [f"# {work.title}", "", "Made by hiexp, by this command:", ""]
    lines += ["```", work.command or "(not kept by this run)", "```", ""]
    if work.provenance:
        lines += [f"Code: {work.provenance['code_version']}.", ""]
        lines += ["| sample | used for | objects | digest |", "|---|---|---|---|"]
        lines += [
            f"| {one['name']} | {one['context']} | {one['size']} | `{one['digest']}` |"
            for one in work.provenance["samples"]
        ]
        lines.append("")
    else:
        lines += ["Code and samples: this run was made before hiexp kept them with it.", ""]
    lines += _ranking(work.folder) if work.is_sweep else _scores(work.folder)
    lines += ["| file | what it has |", "|---|---|"]
    names = dict.fromkeys(path.parts[0] + "/" * (len(path.parts) > 1) for path in work.files)
    jobs = [name for name in names if work.is_sweep and name.endswith("/")]
    lines += [f"| `{name}` | {MEANINGS.get(name, '')} |" for name in names if name not in jobs]
    if jobs:
        lines.append(f"| `{jobs[0]}` to `{jobs[-1]}` | Settings, scores and predictions of each job |")
    return "\n".join([*lines, ""])


def _scores(folder: Path) -> list[str]:
    metrics, own = read_metrics(folder / METRICS_FILE), read_config(folder / CONFIG_FILE).get("metrics")
    names = [*shown_in("run"), *(own if isinstance(own, dict) else {})]
    rows = [
        f"| {metric(name).title} | {metrics[name]:.3f} | {metrics.get(f'low_{name}', float('nan')):.3f} to "
        f"{metrics.get(f'high_{name}', float('nan')):.3f} | {metrics[f'chance_{name}']:.3f} | "
        f"{metrics[f'p_{name}']:.3f} |"
        for name in names
        if {name, f"chance_{name}", f"p_{name}"} <= metrics.keys()
    ]
    heading = ["| score | value | 95 % interval | chance (mean) | p |", "|---|---|---|---|---|"]
    return [*heading, *rows, ""] if rows else []


def _ranking(folder: Path) -> list[str]:
    """Return how many jobs have ended, the verdict on the best, and the best of the ranking."""
    table = read_table(folder / RANKING_FILE)
    done = table[table["state"] == DONE] if "state" in table else table
    lines = [f"{len(done)} of {len(table)} jobs ended well.", ""]
    if (folder / VERDICT_FILE).is_file():
        verdict = read_verdict(folder / VERDICT_FILE)
        best, title = verdict["best"], metric(verdict["measure"]).title
        lines += [
            f"The best of {len(verdict['configurations'])} configurations is job {best['job']}: {title} "
            f"{best['score']:.3f}, corrected for its choice {best['corrected']:.3f} "
            f"({best['corrected_low']:.3f} to {best['corrected_high']:.3f}), family-wise p {best['p_family']:.3f}. "
            f"The best of all reaches {verdict['maximum']['mean']:.3f} by chance, on average.",
            "",
        ]
    scores = [name for name in ("success_rate", "balanced_accuracy", "chance_balanced_accuracy") if name in done]
    if scores:
        lines += [
            "| run | " + " | ".join(metric(name).title for name in scores) + " |",
            "|---" * (1 + len(scores)) + "|",
        ]
        for _, row in done.head(BEST).iterrows():
            lines.append(f"| {row['run']} | " + " | ".join(f"{row[name]:.3f}" for name in scores) + " |")
        lines.append("")
    return lines
