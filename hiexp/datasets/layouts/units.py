"""Units as people write them."""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import Literal

from astropy import units as u

# Astropy would take Ta for 10^12 years; lower case, without blanks, brackets and the marks of a mean.
TEMPERATURES = re.compile(r"(k|kelvins?|degk|degreesk|t[abr]\*?|tmb|tsys|ta\(k\)|k\(t(a\*?|b|mb)\))")
FRAME_SUFFIX = re.compile(r"-(hel|helio|lsr[kd]?|bary?|top|topo|obs|geo|gal)$", re.IGNORECASE)  # GBTIDL's km/s-HEL
SPELLINGS = (
    (re.compile(r"jansky?s?\b"), "jy"),
    (re.compile(r"\bkms\b"), "km/s"),
    (re.compile(r"\b(k?m)s(\^?-1|\^\{-1\})"), r"\1/s"),
    (re.compile(r"\^\{(-?\d)\}"), r"\1"),
    (re.compile(r"/\s*(bm|beam)$"), "/beam"),
    (re.compile(r"\bbm"), "beam"),
    (re.compile(r"jy"), "Jy"),
    (re.compile(r"hz"), "Hz"),
    (re.compile(r"\bm(?=hz)", re.IGNORECASE), "M"),
    (re.compile(r"\bg(?=hz)", re.IGNORECASE), "G"),
)
FLUXES = (u.Jy, u.Jy / u.beam, u.K)
AXES = (u.km / u.s, u.Hz, u.m)


@cache
def unit_named(text: str, of: Literal["flux", "axis"]) -> u.UnitBase | None:
    """Return the unit that a text names, if it is one of flux densities (or temperatures) or of spectral axes.

    Parameters
    ----------
    text : str
        As FITS, astropy or people write it: ``km / s``, ``KM/S``, ``km.s-1``, ``km s^{-1}``, ``MHZ``, ``JY/BEAM``,
        ``km/s-HEL``, ``Ta``. ``MJY`` could be of a million or of a thousandth and is none.
    of : {"flux", "axis"}
        What it is the unit of.
    """
    text = FRAME_SUFFIX.sub("", text.strip())
    if of == "flux" and TEMPERATURES.fullmatch(text.lower().replace(" ", "")):
        return u.K
    for spelling in (text, _respelled(text)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                unit = u.Unit(spelling)
        except Exception:  # astropy's parsers raise ValueError, TypeError and others on odd text
            continue
        if any(unit.is_equivalent(one) for one in (FLUXES if of == "flux" else AXES)):
            return unit
    return None


def _respelled(text: str) -> str:
    if re.match(r"MJY", text):
        return text
    text = text.lower()
    for pattern, instead in SPELLINGS:
        text = pattern.sub(instead, text)
    return text
