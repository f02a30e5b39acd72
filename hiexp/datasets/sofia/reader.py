"""The sources of a run of SoFiA, as a sample."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from tqdm import tqdm

from hiexp.datasets.files import is_folder
from hiexp.datasets.layouts.physical import common_frame
from hiexp.datasets.layouts.spectrum import Given
from hiexp.datasets.sofia.catalogue import read_source_catalogue
from hiexp.datasets.sofia.source import Source, read_source
from hiexp.datasets.stacking import stack
from hiexp.datasets.survey_catalogue import join_catalogue
from hiexp.errors import InputError
from hiexp.kinds import Positive
from hiexp.printable import natural_order
from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

CATALOGUES = ("_cat.xml", "_cat.sql", "_cat.txt")  # those with all digits first
SPECTRUM = re.compile(r"(.+)_spec\.txt(\.gz)?")


def read_sofia(
    path: str,
    beam_pixels: Positive | None = None,
    convention: Literal["optical", "radio"] | None = None,
    catalogue: str | None = None,
    catalogue_id: str | None = None,
    catalogue_columns: Mapping[str, str | None] | None = None,
    match_radius: str | None = None,
) -> Spectra:
    """Read the sources of a run of SoFiA 2 (Westmeier et al. 2021, MNRAS 506, 3962).

    A spectrum is the sum over the pixels that a source covers in each channel, so that its noise differs from channel
    to channel: the catalogue's rms times the square root of the pixels in units of a beam's. Where the source covers
    none, and in 16 channels beyond either end, the flux is 0 with the noise of one beam: SoFiA has found nothing
    there.

    Parameters
    ----------
    path : str
        The folder that SoFiA has written to, or a catalogue in it. Of the three forms of a catalogue one is read,
        VOTable before SQL before text; the spectra are ``NAME_cubelets/*_spec.txt``.
    beam_pixels : float, optional
        Pixels a beam; by default as the headers of ``_mom0.fits`` or ``_cube.fits`` have it.
    convention : {"optical", "radio"}, optional
        Definition of velocities where SoFiA's catalogue has none of ``freq``, ``v_rad``, ``v_opt``, ``v_app``.
    catalogue : str, optional
        Any other survey's table of the objects: text, ECSV, VOTable or FITS.
    catalogue_id : str, optional
        Column of it with the names of the spectra; by default one called id, name, object, source or galaxy.
    catalogue_columns : mapping, optional
        Column of it for each name that other stages know (``Vhel``, ``W50``, ``HIflux``, ``Dist``...).
    match_radius : str, optional
        Join by position on the sky, not by name, within an angle such as ``10arcsec``.

    Returns
    -------
    Spectra
        Named by SoFiA's ``id``, velocities as optical cz in the frame of the cube, noise by channel. The catalogue
        has SoFiA's columns, and as people know them ``RAJ2000``, ``DEJ2000`` (degrees), ``Vhel``, ``W50``, ``W20``
        (km/s) and ``HIflux`` (Jy km/s).

    Raises
    ------
    InputError
        If there is no catalogue, or several, or none of its sources can be used.
    """
    given = Given(convention=convention, beam_pixels=beam_pixels)
    if beam_pixels is not None and not 0 < beam_pixels < np.inf:
        raise InputError(f"dataset.beam_pixels={beam_pixels}: give a number above 0")
    file = _catalogue_file(Path(path))
    table = read_source_catalogue(file)
    files = _spectrum_files(file)
    keys = {name: _key_of(name, row, files) for name, row in table.iterrows()}
    sources: dict[str, Source] = {}
    skipped: list[tuple[str, str]] = []
    for name, key in tqdm(keys.items(), desc="reading spectra", unit=" sources", delay=1, leave=False):
        if key is None:
            continue
        try:
            with np.errstate(all="ignore"):  # what is wild is refused in words
                sources[name] = read_source(table.loc[name], files[key], given)
        except InputError as error:
            skipped.append((name, f"{files[key].name}: {error}"))
    if not sources:
        why = f"{skipped[0][0]}, {skipped[0][1]}" if skipped else f"no {_cubelets(file)}/*_spec.txt is of any"
        raise InputError(
            f"{file}: none of its {len(table)} sources has a spectrum that can be used; the first: {why}"
        )
    _say(file, list(sources.values()))
    ids = np.array(list(sources), dtype=str)
    known = pd.DataFrame([source.known for source in sources.values()], index=pd.Index(ids, name="id"))
    shape = len(ids), max(source.channels.velocity.size for source in sources.values())
    unmatched = [(name, "a source without a spectrum") for name, key in keys.items() if key is None]
    others = sorted(set(files) - set(keys.values()), key=natural_order)
    unmatched += [(files[key].name, "a spectrum without a source in the catalogue") for key in others]
    spectra = Spectra(
        ids=ids,
        **stack((source.channels for source in sources.values()), shape)._asdict(),
        catalogue=known.join(table.drop(columns=known.columns, errors="ignore")),
        systemic=known["Vhel"].to_numpy(),
        skipped=pd.DataFrame(skipped, columns=["name", "reason"]),
        unmatched=pd.DataFrame(unmatched, columns=["name", "reason"]),
        frame=common_frame(source.frame for source in sources.values()),
    )
    return join_catalogue(spectra, catalogue, catalogue_id, catalogue_columns, match_radius)


def _catalogue_file(place: Path) -> Path:
    """Return the catalogue that a path means."""
    if not is_folder(place, "dataset.path"):
        if place.name.removesuffix(".gz").endswith(CATALOGUES):
            return place
        raise InputError(f"dataset.path={place}: give the folder of SoFiA's products, or a catalogue, NAME_cat.xml")
    try:
        files = sorted(file for file in place.iterdir() if file.name.removesuffix(".gz").endswith(CATALOGUES))
    except OSError as error:
        raise InputError(f"dataset.path={place} cannot be read: {error.strerror}") from error
    runs = sorted({_run_name(file) for file in files})
    if len(runs) != 1:
        several = f"{len(runs)} catalogues, of {runs[0]} and {runs[1]} for example; give one of them" if runs else ""
        raise InputError(f"dataset.path={place}: {several or 'no NAME_cat.xml, NAME_cat.sql or NAME_cat.txt in it'}")
    return min(files, key=lambda file: [form in file.name for form in CATALOGUES].index(True))


def _run_name(catalogue: Path) -> str:
    return catalogue.name.rpartition("_cat.")[0]


def _cubelets(catalogue: Path) -> str:
    return f"{_run_name(catalogue)}_cubelets"


def _spectrum_files(catalogue: Path) -> dict[str, Path]:
    """Return the spectra of a catalogue by what stands before ``_spec.txt`` in their names."""
    folder = catalogue.with_name(_cubelets(catalogue))
    folder = folder if is_folder(folder, "dataset.path") else catalogue.parent  # as archives unpack them
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    return {found[1]: file for file in files if (found := SPECTRUM.fullmatch(file.name))}


def _key_of(number: str, row: pd.Series, spectra: dict[str, Path]) -> str | None:
    """Return which of the spectra is a source's: that with its number at the end of the name, or its name within."""
    found = [key for key in spectra if key.rpartition("_")[2] == number]
    if not found and (name := re.sub(r"\s+", "_", str(row.get("name", "")).strip())):
        found = [key for key in spectra if re.search(rf"{re.escape(name)}(?![0-9.])", key)]
    if len(found) > 1:
        raise InputError(f"source {number} has two spectra, {found[0]}_spec.txt and {found[1]}_spec.txt; leave one")
    return found[0] if found else None


def _say(file: Path, sources: list[Source]) -> None:
    """Say how the spectra were understood, and what was remarkable, once each."""
    for description, count in Counter(source.description for source in sources).items():
        log.info("%s: %d sources; %s", file, count, description)
    for remark, count in Counter(remark for source in sources for remark in source.remarks).items():
        log.warning("%s: %d sources: %s", file, count, remark)
