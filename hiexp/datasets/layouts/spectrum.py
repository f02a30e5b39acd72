"""One spectrum as a file has it, and what the user says where files are silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hiexp.spectral.axis import REST_FREQUENCY

Convention = Literal["optical", "radio", "relativistic"]
Kind = Literal["velocity", "frequency", "wavelength"]


@dataclass(frozen=True)
class Given:
    """What the user gives.

    Attributes
    ----------
    columns : mapping
        Name or number (from 1) of the columns ``velocity``, ``flux``, ``weight``, ``flag`` and ``id``.
    units : mapping
        Units of ``velocity`` (or of frequencies or wavelengths) and ``flux``.
    convention : {"optical", "radio"}, optional
        Definition of velocities.
    gain : float, optional
        K/Jy, for antenna temperatures.
    beam_pixels : float, optional
        Pixels a beam, for sums over pixels in Jy/beam.
    specutils_format : str, optional
        Format by which specutils reads the files.
    """

    columns: Mapping[str, str | int] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    convention: Literal["optical", "radio"] | None = None
    gain: float | None = None
    beam_pixels: float | None = None
    specutils_format: str | None = None


@dataclass(frozen=True)
class Axis:
    """A spectral axis; what the file does not say is empty or None.

    Attributes
    ----------
    values : ndarray, shape (M,)
        In any order, NaN where missing.
    unit : str
        As the file writes it.
    kind : {"velocity", "frequency", "wavelength"}, optional
        Quantity on the axis.
    convention : {"optical", "radio", "relativistic"}, optional
        Definition of velocities.
    frame : str
        Frame of rest.
    rest : float
        Frequency at rest that velocities refer to, Hz.
    """

    values: np.ndarray
    unit: str = ""
    kind: Kind | None = None
    convention: Convention | None = None
    frame: str = ""
    rest: float = REST_FREQUENCY.to_value("Hz")


@dataclass(frozen=True)
class RawSpectrum:
    """One spectrum as a file has it.

    Attributes
    ----------
    axis : Axis
        M channels.
    flux : ndarray, shape (M,)
        NaN where missing.
    valid : ndarray of bool, shape (M,)
        Channels that weights and flags allow.
    flux_unit : str
        As the file writes it; empty where it does not.
    facts : mapping
        Cards of the header or cells of the row, their names in capitals.
    layout : str
        The form of the file and its columns, for the screen.
    """

    axis: Axis
    flux: np.ndarray
    valid: np.ndarray
    flux_unit: str
    facts: Mapping[str, object]
    layout: str
