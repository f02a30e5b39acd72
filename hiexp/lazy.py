"""Packages whose public names are imported when they are asked for, with the libraries behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def importer(package: str, places: Mapping[str, str]) -> Callable[[str], object]:
    """Return what a package has as its ``__getattr__`` (PEP 562).

    Parameters
    ----------
    package : str
        Its name.
    places : mapping of str to str
        The module of each public name.
    """

    def __getattr__(name: str) -> object:  # noqa: N807
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(places[name]), name)

    return __getattr__
