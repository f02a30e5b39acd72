"""The errors that a user can cause and fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class InputError(ValueError):
    """Input that cannot be used; the message names the file or key, the value and the remedy."""


class SeveralFaultsError(InputError):
    """Several things that cannot be used, a line each.

    Attributes
    ----------
    faults : list of str
        The lines, each of them once.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = list(dict.fromkeys(faults))
        super().__init__("\n".join(self.faults))


class OthersFolderError(InputError):
    """The folder of a run holds files of another."""


class NoGroupsError(InputError):
    """A clusterer has found no groups to learn: in a sweep a result like any other.

    Attributes
    ----------
    scores : mapping of str to float
        What it has found.
    """

    def __init__(self, message: str, scores: Mapping[str, float]) -> None:
        super().__init__(message)
        self.scores = scores


class PrunedError(Exception):
    """A search has stopped one of its trials, which others had left behind at the same epoch."""
