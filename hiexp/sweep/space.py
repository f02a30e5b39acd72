"""What a search may set: read from words in Hydra's grammar, without Optuna."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from hiexp.errors import InputError

# What would change which objects are held out: those of one trial would steer the search in another.
OF_THE_SPLIT = ("random_state", "test_size", "n_classes", "evaluation", "dataset", "labels", "objective")

DIGITS = 6  # of a number, which a person reads in a ranking


class Suggests(Protocol):
    """What Optuna calls a trial."""

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str:
        """Return one of some values."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Return a whole number."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """Return a number."""
        ...


@dataclass(frozen=True)
class Axis:
    """One key of a search.

    Attributes
    ----------
    word : str
        As it was written, for messages.
    key : str
        The key, with its ``+`` if it is a new one.
    within : str
        ``key=value`` of the choice that it belongs to; empty where it always is there.
    choices : tuple of str
        Values, as the command line takes them; none where it is a range of numbers.
    low, high : float
        Ends of the range; both may be taken.
    step : float or None
        Distance of its values; None where it is continuous.
    whole : bool
        Whether they are whole numbers.
    log : bool
        Whether the range is even in the logarithm.
    """

    word: str
    key: str
    within: str = ""
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    whole: bool = False
    log: bool = False

    @property
    def name(self) -> str:
        """What Optuna calls it: a key of two branches has two ranges."""
        key = self.key.lstrip("+")
        return f"{self.within}: {key}" if self.within else key

    def values(self) -> tuple[str, ...]:
        """Return its values in full; none where it is continuous."""
        if self.choices or self.step is None:
            return self.choices
        count = int((self.high - self.low) / self.step + 1e-9) + 1
        kind = int if self.whole else float
        return tuple(repr(kind(self.low + place * self.step)) for place in range(count))

    def suggested(self, trial: Suggests, in_full: bool) -> str:
        """Return what a trial sets it to; `in_full` where every value is a choice."""
        if in_full or self.choices:
            return trial.suggest_categorical(self.name, self.values())
        if self.whole:
            step = 1 if self.log else int(self.step or 1)
            return repr(trial.suggest_int(self.name, int(self.low), int(self.high), step=step, log=self.log))
        number = trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)
        return f"{number:.{DIGITS}g}"


@dataclass(frozen=True)
class Space:
    """Everything that the trials of a search have in common, and what differs.

    Attributes
    ----------
    fixed : tuple of str
        Words ``key=value`` of every trial.
    axes : tuple of Axis
        Those that are always there before those of a branch.
    """

    fixed: tuple[str, ...]
    axes: tuple[Axis, ...]

    @classmethod
    def of(
        cls,
        loader: ConfigLoader | None,
        params: Mapping[str, Any] | None,
        branches: Mapping[str, Mapping[str, Any]] | None,
        typed: Sequence[str],
    ) -> Space:
        """Read the words of a preset and of the command; of two words for one key the later counts.

        Parameters
        ----------
        loader : ConfigLoader or None
            Knows what ``glob(*)`` stands for.
        params : mapping of str to str, or None
            Ranges of the preset by key.
        branches : mapping of str to mapping, or None
            The same, by the ``key=value`` that they belong to.
        typed : sequence of str
            Words of the command.

        Raises
        ------
        InputError
            If a word is no range, there is none at all, or one would change which objects are held out.
        """
        parser = OverridesParser.create(loader)
        words = parser.parse_overrides([*(f"{key}={value}" for key, value in (params or {}).items()), *typed])
        latest = {override.get_key_element(): override for override in words}
        fixed = [
            f"{key}={override.get_value_element_as_str()}"
            if override.value() is not None
            else str(override.input_line)
            for key, override in latest.items()
            if not override.is_sweep_override()
        ]
        axes = [_axis(override) for override in latest.values() if override.is_sweep_override()]
        by_key = {axis.key: axis for axis in axes}
        for within, ranges in (branches or {}).items():
            key, _, value = within.partition("=")
            if within not in fixed and value not in (by_key[key].values() if key in by_key else ()):
                continue  # what was typed has taken that choice away
            own = parser.parse_overrides([f"{inner}={text}" for inner, text in ranges.items()])
            for override in own:
                if override.get_key_element() not in latest:
                    if not override.is_sweep_override():
                        raise InputError(
                            f"{within}: {override.input_line}: give a range, interval(low,high) or a,b,c"
                        )
                    axes.append(_axis(override, "" if within in fixed else within))
        if not axes:
            raise InputError(
                "hydra/sweeper=optuna: no key has several values; give one or more, key=interval(low,high) or "
                "key=a,b,c, or a preset, +search=random_forest"
            )
        for axis in axes:
            if axis.key.lstrip("+").partition(".")[0] in OF_THE_SPLIT:
                raise InputError(
                    f"{axis.word}: a search holds the same objects out in all trials, and this changes which; give "
                    "one value, or sweep over it by hydra/sweeper=grid"
                )
        return cls(tuple(fixed), tuple(axes))

    @property
    def size(self) -> int | None:
        """How many combinations there are; None where a range is continuous or belongs to a branch."""
        size = 1
        for axis in self.axes:
            if axis.within or not axis.values():
                return None
            size *= len(axis.values())
        return size

    def suggested(self, trial: Suggests, in_full: bool = False) -> list[str]:
        """Return the words ``key=value`` of a trial."""
        words = list(self.fixed)
        chosen: list[str] = []
        for axis in self.axes:
            if not axis.within or axis.within in chosen:
                chosen.append(f"{axis.key}={axis.suggested(trial, in_full)}")
        return words + chosen

    def samples(self) -> Iterator[list[str]]:
        """Yield the words of a few trials in which every choice and both ends of every range occur."""
        plain = [axis for axis in self.axes if not axis.within]
        usual = {axis.key: _ends(axis)[0] for axis in plain}
        yield self._with(usual)
        for axis in plain:
            for value in _ends(axis)[1:]:
                yield self._with(usual | {axis.key: value})
        for within, some in itertools.groupby([axis for axis in self.axes if axis.within], lambda axis: axis.within):
            key, _, value = within.partition("=")
            for ends in itertools.zip_longest(*([(axis.key, end) for end in _ends(axis)] for axis in some)):
                yield self._with(usual | {key: value} | dict(end for end in ends if end))

    def _with(self, values: Mapping[str, str]) -> list[str]:
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]


def _ends(axis: Axis) -> tuple[str, ...]:
    if axis.choices:
        return axis.choices
    return tuple(repr(int(end) if axis.whole else float(end)) for end in (axis.low, axis.high))


def _axis(override: Override, within: str = "") -> Axis:
    key, value, word = override.get_key_element(), override.value(), str(override.input_line)
    tags: set[str] = getattr(value, "tags", set())
    if tags - {"log"}:
        raise InputError(f"{word}: tag({sorted(tags - {'log'})[0]}, ...) means nothing; tag(log, ...) is a logarithm")
    log = "log" in tags
    match value:
        case IntervalSweep(start=low, end=high) if low is not None and high is not None:
            whole = isinstance(low, int)
            axis = Axis(word, key, within, (), low, high, 1 if whole else None, whole, log)
        case RangeSweep(start=low, stop=stop, step=step) if low is not None and stop is not None and step > 0:
            values = [float(text) for text in override.sweep_string_iterator()]
            if not values:
                raise InputError(f"{word}: no values to search over")
            whole = all(isinstance(number, int) for number in (low, step))
            axis = Axis(word, key, within, (), low, values[-1], step, whole, log)
        case _:
            return Axis(word, key, within, tuple(override.sweep_string_iterator()))
    if not axis.low < axis.high and isinstance(value, IntervalSweep):
        raise InputError(f"{word}: give an interval whose first number is the smaller one")
    if axis.log and axis.low <= 0:
        raise InputError(f"{word}: a logarithm needs numbers above 0; begin above, or leave tag(log, ...) out")
    if axis.log and axis.step is not None and not (axis.whole and axis.step == 1):
        raise InputError(
            f"{word}: a range with steps is even in its numbers; leave tag(log, ...) out, or use interval"
        )
    return axis
