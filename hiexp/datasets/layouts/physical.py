"""From a file's numbers to optical velocities in km/s and flux densities in mJy, and how that was understood."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from astropy import units as u

from hiexp.datasets.cleaning import clean, masked_values
from hiexp.datasets.layouts.regular import is_even, on_even_grid
from hiexp.datasets.layouts.spectrum import Axis, Convention, Given, RawSpectrum
from hiexp.datasets.layouts.units import unit_named
from hiexp.datasets.stacking import Channels
from hiexp.datasets.tables import shown
from hiexp.errors import InputError
from hiexp.spectral.axis import (
    DOPPLER,
    KM_S,
    LIGHT_SPEED,
    REST_FREQUENCY,
    UNITS,
    is_plausible,
    to_velocity,
    units_that_fit,
)
from hiexp.spectral.channels import NOISE_RANGE, unusual_noise

HELIOCENTRIC = "heliocentric"
KINDS = {"velocity": KM_S, "frequency": u.Hz, "wavelength": u.m}


class Understood(NamedTuple):
    """A spectrum, how its file was understood, what its user should know, which settings it took, and its frame."""

    channels: Channels
    description: str
    remarks: list[str]
    used: set[str]
    frame: str


def to_channels(raw: RawSpectrum, given: Given) -> Understood:
    """Convert a spectrum to optical velocities in km/s and mJy, and `clean` it.

    Raises
    ------
    InputError
        If unit or convention are not known or cannot be those of the numbers, or too little of it can be used; the
        message leaves the name to the caller.
    """
    fill = raw.facts.get("NANVALUE")
    known = np.isfinite(raw.axis.values)
    if np.count_nonzero(raw.axis.values == fill) > 1:  # one may be a velocity like any other
        known &= raw.axis.values != fill
    distinct = np.unique(raw.axis.values[known])
    if distinct.size < 2:
        raise InputError(f"its axis has {distinct.size} different values; it is no spectrum")
    axis = replace(raw.axis, values=raw.axis.values[known])
    velocity, axis_words, remarks = to_optical_velocities(axis, given)
    flux, flux_words, more, used = _flux(raw, given)
    valid = (raw.valid & np.isfinite(flux) & (raw.flux != fill))[known]
    flux = flux[known]
    remarks += [*more, *masked_values(flux, valid)]
    order = np.argsort(velocity, kind="stable")
    if np.isfinite(velocity).all() and not is_even(velocity[order]):
        velocity, flux, valid, words = on_even_grid(velocity[order], flux[order], valid[order])
        axis_words += f", {words}"
    channels = clean(velocity, flux, valid, unit_known=True)
    if unusual_noise(float(channels.rms)):
        low, high = NOISE_RANGE
        remarks.append(f"its noise is not one of HI spectra, {low:g} to {high:g} mJy a channel; is its unit right?")
    return Understood(
        channels, f"{raw.layout}; axis: {axis_words}; flux: {flux_words}", remarks, used, frame_of(axis)
    )


def to_optical_velocities(axis: Axis, given: Given) -> tuple[np.ndarray, str, list[str]]:
    """Return cz in km/s, shape (M,), how the axis was understood, and what is to be said about it.

    Raises
    ------
    InputError
        If unit or convention are not known or cannot be those of the numbers.
    """
    unit, origin, remarks = _axis_unit(axis, given)
    kind = next(name for name, one in KINDS.items() if unit.is_equivalent(one))
    quantity = u.Quantity(axis.values, unit)
    words = f"{kind} in {unit.to_string()} ({origin})"
    if kind == "velocity":
        _check(quantity, axis.values, origin)
        convention, reason = _convention(axis, quantity.to_value(KM_S), given)
        words += f", {convention} ({reason})"
        if given.convention and axis.convention not in (None, given.convention):
            remarks.append(f"dataset.convention={given.convention} is taken; the file says {axis.convention}")
        rest = axis.rest * u.Hz
        if convention != "optical" or abs(rest / REST_FREQUENCY - 1) > 1e-9:
            quantity = quantity.to(u.Hz, DOPPLER[convention](rest))
    velocity = to_velocity(quantity)
    _check(u.Quantity(velocity, KM_S), axis.values, f"{unit.to_string()}: {origin}")
    if frame_of(axis) != HELIOCENTRIC:
        remarks.append(f"its velocities stay in the frame of the file, {axis.frame}, and are not heliocentric")
    return velocity, f"{words}, frame {axis.frame or 'not given'}", remarks


def frame_of(axis: Axis) -> str:
    """Return the frame of an axis: "heliocentric" where its file says so or nothing, else what it says."""
    if not axis.frame or axis.frame.upper().startswith(("HEL", "BARY", "BARI")):
        return HELIOCENTRIC
    return axis.frame


def common_frame(frames: Iterable[str]) -> str:
    """Return the frames of several spectra, each once."""
    return " or ".join(sorted(set(frames))) or HELIOCENTRIC


def _axis_unit(axis: Axis, given: Given) -> tuple[u.UnitBase, str, list[str]]:
    """Return the unit of an axis, who says so, and a remark where the user and the file differ."""
    stated = unit_named(axis.unit, "axis") if axis.unit else None
    text = given.units.get("velocity")
    if text is not None:
        unit = unit_named(text, "axis")
        if unit is None:
            raise InputError(f"dataset.units.velocity={shown(text)}: no unit of velocity, frequency or wavelength")
        differs = stated is not None and stated != unit
        remark = f"dataset.units.velocity={text} is taken; the file says {axis.unit}"
        return unit, "dataset.units.velocity", [remark] * differs
    if stated is not None:
        return stated, "as the file says", []
    if axis.unit:
        raise InputError(
            f"its axis is in '{shown(axis.unit)}', no unit of velocity, frequency or wavelength; "
            "give dataset.units.velocity=km/s (or MHz, ...)"
        )
    numbers = axis.values
    distinct = np.unique(numbers)
    if (np.diff(distinct) == 1).all():
        raise InputError(
            f"its axis counts channels, {distinct[0]:g} to {distinct[-1]:g}; give the column of velocities or "
            "frequencies as dataset.columns.velocity=..., or dataset.units.velocity=km/s if these are velocities"
        )
    fitting = [
        name for name in units_that_fit(numbers) if axis.kind is None or u.Unit(name).is_equivalent(KINDS[axis.kind])
    ]
    if len(fitting) != 1:
        could = f"could be in {' or in '.join(fitting)}" if fitting else f"fits none of {', '.join(UNITS)}"
        raise InputError(
            f"its axis, {numbers.min():.7g} to {numbers.max():.7g}, has no unit and {could}; "
            f"give dataset.units.velocity={fitting[0] if fitting else '...'}"
        )
    return u.Unit(fitting[0]), "no unit in the file: the numbers fit no other", []


def _check(velocity: u.Quantity, numbers: np.ndarray, origin: str) -> None:
    """Refuse velocities that no HI spectrum has."""
    values = velocity.to_value(KM_S)
    if not is_plausible(values):
        likely = units_that_fit(numbers)
        remedy = f"it looks like {' or '.join(likely)}; give " if likely else "give its unit as "
        raise InputError(
            f"its axis, {numbers.min():.7g} to {numbers.max():.7g} ({origin}), would be {values.min():.6g} to "
            f"{values.max():.6g} km/s, no HI line: {remedy}dataset.units.velocity={likely[0] if likely else '...'}"
        )


def _convention(axis: Axis, velocity: np.ndarray, given: Given) -> tuple[Convention, str]:
    """Return how velocities in km/s are defined, and how that is known."""
    if given.convention is not None:
        return given.convention, "dataset.convention"
    if axis.convention is not None:
        return axis.convention, "as the file says"
    if _even_in_frequency_if_optical(velocity):
        return "optical", "which makes its channels even in frequency"
    farthest = velocity[np.abs(velocity).argmax()]
    channel = np.median(np.diff(np.sort(velocity)))
    difference = farthest**2 / LIGHT_SPEED
    if difference < 0.5 * channel:
        return "optical", "radio would differ by less than half a channel"
    raise InputError(
        f"its velocities, {velocity.min():.6g} to {velocity.max():.6g} km/s, could be optical or radio, which differ "
        f"by {difference:.3g} km/s at {farthest:.6g}; give dataset.convention=optical or dataset.convention=radio"
    )


def _even_in_frequency_if_optical(velocity: np.ndarray) -> bool:
    """Whether velocities in km/s are those of evenly spaced frequencies by the optical convention, and no other.

    Radio velocities of such channels are even themselves, relativistic ones half as uneven.
    """
    velocity = np.unique(velocity)
    uneven, uneven_in_frequency = _unevenness(velocity), _unevenness(-1 / (1 + velocity / LIGHT_SPEED))
    return uneven > 0.02 and uneven_in_frequency < 0.2 * uneven


def _unevenness(values: np.ndarray) -> float:
    """Return how far ascending numbers are from a grid at most, in its steps; some may be missing."""
    steps = np.diff(values)
    place = np.concatenate([[0], np.cumsum(np.maximum(np.rint(steps / np.median(steps)), 1))])
    slope, start = np.polyfit(place, values - values[0], 1)
    return float(np.abs(values - values[0] - start - slope * place).max() / slope)


def _flux(raw: RawSpectrum, given: Given) -> tuple[np.ndarray, str, list[str], set[str]]:
    """Return mJy, shape (M,), how that was understood, what is to be said about it, and the settings it took."""
    stated = unit_named(raw.flux_unit, "flux") if raw.flux_unit else None
    text, remarks = given.units.get("flux"), []
    if text is not None:
        unit, origin = unit_named(text, "flux"), "dataset.units.flux"
        if unit is None:
            raise InputError(f"dataset.units.flux={shown(text)}: no unit of flux density; give Jy, mJy, K or Jy/beam")
        if stated is not None and stated != unit:
            remarks.append(f"dataset.units.flux={text} is taken; the file says {raw.flux_unit}")
    elif raw.flux_unit:
        unit, origin = stated, "as the file says"
        if unit is None:
            raise InputError(
                f"its flux is in '{shown(raw.flux_unit)}', no unit of flux density; give dataset.units.flux=mJy "
                "(or Jy, K, Jy/beam)"
            )
    else:
        raise InputError("its flux has no unit; give dataset.units.flux=mJy (or Jy, K, Jy/beam)")
    words, used, equivalencies = f"{unit.to_string()} ({origin})", set(), []
    if unit.is_equivalent(u.K):
        gain = given.gain
        if gain is None:
            raise InputError(f"its flux is in {unit.to_string()} ({origin}); give dataset.gain=... in K/Jy")
        equivalencies = [(u.K, u.Jy, lambda kelvin: kelvin / gain, lambda flux: flux * gain)]
        words, used = f"{words}, {gain:g} K/Jy", {"gain"}
    elif unit.is_equivalent(u.Jy / u.beam):
        pixels = given.beam_pixels
        if pixels is None:
            raise InputError(
                f"its flux is in {unit.to_string()} ({origin}); give the pixels a beam, which sums over pixels are "
                "divided by, as dataset.beam_pixels=... (1 for the spectrum of one pixel)"
            )
        equivalencies = [(u.Jy / u.beam, u.Jy, lambda total: total / pixels, lambda flux: flux * pixels)]
        words, used = f"{words}, {pixels:g} pixels a beam", {"beam_pixels"}
    with np.errstate(all="ignore"):
        return u.Quantity(raw.flux, unit).to_value(u.mJy, equivalencies), words, remarks, used
