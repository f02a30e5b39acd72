"""A run or a sweep as one file that others can cite, read and repeat: an RO-Crate, zipped.

RO-Crate (Soiland-Reyes et al. 2022, Data Science 5, 97) is a folder whose ``ro-crate-metadata.json`` says what its
files are, in JSON-LD. Which command made them, by which code, is said as the profile Process Run Crate has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from hiexp import __version__
from hiexp.errors import InputError
from hiexp.run.citable import Work
from hiexp.run.crate_pages import MEANINGS, Author, citation, readme
from hiexp.run.files import HYDRA_FILE, SWEEP_HYDRA_FILE

if TYPE_CHECKING:
    from hiexp.run.reading import Provenance

LICENCES = "https://spdx.org/licenses/"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"


def write_crate(work: Work, authors: Sequence[Author], file: Path, licence: str | None = None) -> None:
    """Write a zip with the files, ``ro-crate-metadata.json``, ``CITATION.cff`` and ``README.md``.

    Parameters
    ----------
    work : Work
        What it is of.
    authors : sequence of Author
        Whom to cite.
    file : Path
        The zip.
    licence : str, optional
        Under which it may be used, as SPDX calls it.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.person import Person
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    crate.name = work.title
    crate.description = "Results of a run of hiexp: settings, metrics with chance levels, tables and pictures."
    crate.datePublished = work.ended
    crate.license = LICENCES + licence if licence else "none given: ask the authors"
    people = [crate.add(Person(crate, f"#author-{place}", _person(author))) for place, author in enumerate(authors)]
    if people:
        crate.root_dataset["author"] = people
    crate.root_dataset["conformsTo"] = crate.add(ContextEntity(crate, PROFILE, {"@type": "CreativeWork"}))
    with TemporaryDirectory() as written:
        for name, text in (("README.md", readme(work)), ("CITATION.cff", citation(work, authors, licence))):
            Path(written, name).write_text(text)
            crate.add_file(Path(written, name), name)
        made = [
            crate.add_file(_of_no_host(work, path, Path(written)), path.as_posix(), properties=_described(path))
            for path in work.files
        ]
        software = crate.add(ContextEntity(crate, "#hiexp", _software(work.provenance)))
        crate.add_action(software, object=_samples(crate, work.provenance), result=made, properties=_action(work))
        partial = file.with_name(f".{file.name}.partial.zip")
        try:
            crate.write_zip(partial)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)


def _of_no_host(work: Work, path: Path, written: Path) -> Path:
    """Return a file of the work; of what Hydra keeps a copy in `written` that does not say where on which machine."""
    if path.name not in (Path(HYDRA_FILE).name, SWEEP_HYDRA_FILE):
        return work.folder / path
    try:
        said = yaml.safe_load((work.folder / path).read_text())
        said["hydra"]["runtime"] |= {"cwd": ".", "output_dir": "."}
        for source in said["hydra"]["runtime"]["config_sources"]:
            source["path"] = Path(source["path"]).name
    except (KeyError, TypeError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{work.folder / path} is damaged; restore it, or run its command again") from error
    copy = written / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True))
    return copy


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
    return {"name": work.command or work.title, "description": work.command, "endTime": work.ended.isoformat()}
