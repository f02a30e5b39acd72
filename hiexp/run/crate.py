"""A run or a sweep as one file that others can cite, read and repeat: an RO-Crate, zipped.

RO-Crate (Soiland-Reyes et al. 2022, Data Science 5, 97) is a folder whose ``ro-crate-metadata.json`` says what its
files are, in JSON-LD. Which command made them, by which code, is said as the profile Process Run Crate has it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from hiexp import __version__
from hiexp.errors import InputError
from hiexp.evaluation.metrics import metric, shown_in
from hiexp.run.files import (
    CONFIG_FILE,
    HYDRA_FILE,
    METRICS_FILE,
    OVERRIDES_FILE,
    PREDICTIONS_FILE,
    PROVENANCE_FILE,
    RANKING_FILE,
    RUN_FILE,
    SWEEP_HYDRA_FILE,
    VERDICT_FILE,
    RunFile,
    results,
)
from hiexp.run.membership import DONE, jobs_of
from hiexp.run.reading import (
    read_config,
    read_metrics,
    read_provenance,
    read_sweep_settings,
    read_table,
    read_verdict,
)
from hiexp.run.reproduce import sweep_command

if TYPE_CHECKING:
    from hiexp.run.reading import Provenance

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
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
    PROVENANCE_FILE: "The command, the versions of the code, and the samples",
    RUN_FILE: "SHA-256 of every result",
}
CHANGED = (
    f"{{}}: its results are not what they were when the run ended ({RUN_FILE} has their checksums); run it again, or "
    "restore them"
)
BEST = 20  # of the jobs of a sweep, in its README
OF_A_JOB = (CONFIG_FILE, METRICS_FILE, PREDICTIONS_FILE, "predictions.parquet", PROVENANCE_FILE, RUN_FILE)


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


@dataclass(frozen=True)
class Work:
    """What is to be exported.

    Attributes
    ----------
    folder : Path
        A run's, or a sweep's.
    files : list of Path
        What of it, as paths in the folder.
    command : str
        What repeats it.
    provenance : Provenance or None
        What the run, or the first job of the sweep, says of code and samples.
    ended : datetime
        When.
    """

    folder: Path
    files: list[Path]
    command: str
    provenance: Provenance | None
    ended: datetime

    @property
    def name(self) -> str:
        """What it is called by its place."""
        return re.sub(r"[^\w.-]+", "-", "-".join(["hiexp", *self.folder.resolve().parts[-2:]]))

    @property
    def is_sweep(self) -> bool:
        """Whether it has jobs."""
        return (self.folder / SWEEP_HYDRA_FILE).is_file()


def work_in(folder: Path) -> Work:
    """Return what of a folder is to be exported: of a run all results; of a sweep its own, and its jobs' numbers.

    Raises
    ------
    InputError
        If no run or sweep that has ended well is there, or its results are not what they were at its end.
    """
    if (folder / SWEEP_HYDRA_FILE).is_file():
        return _sweep_in(folder)
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(f"{folder}: no run is in this folder (it has no {CONFIG_FILE}); give runs/<date>/<time>")
    own = RunFile.read(folder)
    if own is None or not own.files:
        raise InputError(f"{folder}: this run has not ended well; give one that has")
    files = results(folder, own.work)
    if files is None:
        raise InputError(CHANGED.format(folder))
    files = [*files, Path(RUN_FILE), *(Path(name) for name in (HYDRA_FILE, OVERRIDES_FILE))]
    return _work(folder, [file for file in files if _is_file(folder / file)], own_provenance(folder), None)


def own_provenance(folder: Path) -> Provenance | None:
    """Return what a run says of itself; None where it was made before hiexp kept that."""
    file = folder / PROVENANCE_FILE
    return read_provenance(file) if file.is_file() else None


def _sweep_in(folder: Path) -> Work:
    if not (folder / RANKING_FILE).is_file():
        raise InputError(
            f"{folder}: this sweep has not come to its end; its command, typed again, runs what is missing"
        )
    jobs = jobs_of(folder)
    for job in jobs:
        own_file = RunFile.read(job)
        if (job / METRICS_FILE).is_file() and (own_file is None or results(job, own_file.work) is None):
            raise InputError(CHANGED.format(job))
    own = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and _is_file(path)]
    of_jobs = [job / name for job in jobs for name in OF_A_JOB if _is_file(job / name)]
    files = [path.relative_to(folder) for path in [*own, *of_jobs]]
    said = next(filter(None, map(own_provenance, jobs)), None)
    return _work(folder, files, said, sweep_command(read_sweep_settings(folder / SWEEP_HYDRA_FILE)))


def _work(folder: Path, files: list[Path], provenance: Provenance | None, command: str | None) -> Work:
    end = folder / (METRICS_FILE if command is None else RANKING_FILE)
    said = command or (provenance["command"] if provenance else "")
    return Work(folder, files, said, provenance, datetime.fromtimestamp(int(end.stat().st_mtime), tz=UTC))


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def write_crate(work: Work, authors: Sequence[Author], file: Path) -> None:
    """Write a zip with the files, ``ro-crate-metadata.json``, ``CITATION.cff`` and ``README.md``.

    Parameters
    ----------
    work : Work
        What it is of.
    authors : sequence of Author
        Whom to cite.
    file : Path
        The zip.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.person import Person
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    crate.name = _title(work)
    crate.description = "Results of a run of hiexp: settings, metrics with chance levels, tables and pictures."
    crate.datePublished = work.ended
    people = [crate.add(Person(crate, f"#author-{place}", _person(author))) for place, author in enumerate(authors)]
    if people:
        crate.root_dataset["author"] = people
    crate.root_dataset["conformsTo"] = crate.add(ContextEntity(crate, PROFILE, {"@type": "CreativeWork"}))
    with TemporaryDirectory() as written:
        for name, text in (("README.md", readme(work)), ("CITATION.cff", citation(work, authors))):
            Path(written, name).write_text(text)
            crate.add_file(Path(written, name), name)
        made = [
            crate.add_file(work.folder / path, path.as_posix(), properties=_described(path)) for path in work.files
        ]
        software = crate.add(ContextEntity(crate, "#hiexp", _software(work.provenance)))
        crate.add_action(software, object=_samples(crate, work.provenance), result=made, properties=_action(work))
        partial = file.with_name(f".{file.name}.partial.zip")
        try:
            crate.write_zip(partial)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)


def _title(work: Work) -> str:
    return f"hiexp {'sweep' if work.is_sweep else 'run'} of {work.ended:%Y-%m-%d}, {'/'.join(work.folder.parts[-2:])}"


def _person(author: Author) -> dict[str, str]:
    whole = f"{author.given} {author.family}".strip()
    return {"name": whole} | ({"familyName": author.family, "givenName": author.given} if author.given else {})


def _described(path: Path) -> dict[str, str]:
    meaning = MEANINGS.get(path.name)
    return {"description": meaning} if meaning else {}


def _software(provenance: Provenance | None) -> dict[str, Any]:
    said: dict[str, Any] = {"@type": "SoftwareApplication", "name": "hiexp", "softwareVersion": __version__}
    if provenance:
        versions = [f"{name} {version}" for name, version in provenance["versions"].items()]
        said |= {"softwareVersion": provenance["code_version"], "softwareRequirements": versions}
    return said


def _samples(crate: Any, provenance: Provenance | None) -> list[Any]:
    from rocrate.model.contextentity import ContextEntity

    return [
        crate.add(
            ContextEntity(
                crate,
                f"#sample-{place}",
                {
                    "@type": "Dataset",
                    "name": f"{one['name']} ({one['context']})",
                    "identifier": one["digest"],
                    "size": f"{one['size']} objects",
                    "description": one["source"],
                },
            )
        )
        for place, one in enumerate(provenance["samples"] if provenance else [])
    ]


def _action(work: Work) -> dict[str, str]:
    return {"name": work.command or _title(work), "description": work.command, "endTime": work.ended.isoformat()}


def citation(work: Work, authors: Sequence[Author]) -> str:
    """Return ``CITATION.cff``: how to cite the work, the code that made it, and the study whose steps these are."""
    version = work.provenance["code_version"] if work.provenance else __version__
    hiexp = {"type": "software", "title": "hiexp", "authors": [{"name": "hiexp developers"}], "version": version}
    study = {
        "type": "article",
        "title": "Classification of HI Galaxy Profiles using Unsupervised Learning and Convolutional Neural Networks",
        "authors": [{"family-names": "Jaimes-Illanes"}],
        "year": 2025,
        "notes": "arXiv:2501.11657",
    }
    said = {
        "cff-version": "1.2.0",
        "message": "Please cite these results, the code that made them, and the source of the spectra.",
        "type": "dataset",
        "title": _title(work),
        "authors": [author.citation for author in authors] or [{"name": "authors to be named here"}],
        "date-released": f"{work.ended:%Y-%m-%d}",
        "references": [hiexp, study],
    }
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=118)


def readme(work: Work) -> str:
    """Return a page for people: what made it, what came out, what of it is where."""
    lines = [f"# {_title(work)}", "", "Made by hiexp, by this command:", ""]
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
    lines += [f"| `{name}` | {MEANINGS.get(name, '')} |" for name in names]
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
