"""Files that specutils knows how to read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from hiexp.datasets.layouts.spectrum import Axis, RawSpectrum
from hiexp.datasets.tables import shown
from hiexp.errors import InputError


def spectra_by_specutils(file: Path, form: str) -> Iterator[RawSpectrum]:
    """Yield the spectra of a file as `specutils.Spectrum.read` reads it.

    Parameters
    ----------
    file : Path
        The file.
    form : str
        One of specutils' formats, or ``auto`` where it shall tell.

    Raises
    ------
    InputError
        If specutils is not installed, or does not read the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from specutils import Spectrum
    except ImportError as error:
        raise InputError(
            f"dataset.specutils_format={form} needs specutils (pip install 'hiexp[specutils]'): {error}"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units and cards that it finds odd
            spectrum = Spectrum.read(str(file), format=None if form == "auto" else form)
    except Exception as error:  # its loaders raise whatever their files make them
        raise InputError(f"is not read by specutils as {form} ({shown(error, 200)})") from error
    axis = spectrum.spectral_axis
    header = spectrum.meta.get("header", {})
    facts = {str(key).upper(): value for key, value in header.items()} if isinstance(header, Mapping) else {}
    flux = np.asarray(spectrum.flux.value, dtype=float)
    mask = np.zeros(flux.shape, dtype=bool) if spectrum.mask is None else np.broadcast_to(spectrum.mask, flux.shape)
    rows = zip(flux.reshape(-1, flux.shape[-1]), ~mask.reshape(-1, flux.shape[-1]), strict=True)
    for values, valid in rows:
        yield RawSpectrum(
            axis=Axis(
                np.asarray(axis.value, dtype=float),
                axis.unit.to_string(),
                convention=axis.doppler_convention,
                frame=str(facts.get("SPECSYS", "")),
            ),
            flux=values,
            valid=valid,
            flux_unit=spectrum.flux.unit.to_string(),
            facts=facts,
            layout=f"specutils ({form})",
        )
