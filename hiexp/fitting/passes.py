"""One pass over the spectra of a batch, and where the next one looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hiexp.fitting.line import Channels, Lines
from hiexp.fitting.measurements import line_measurements


class Pass(NamedTuple):
    """The curves fitted to N spectra, NaN and False where none was.

    ``parameters`` (N, P) and their ``covariances`` (N, P, P); ``measured`` and ``measured_errors``, shape (N,) by
    name; ``chi2`` (N,) of the whole window from ``low`` to ``high`` (N,); ``converged`` (N,); whether a parameter
    ended ``at_bound`` (N,); the line's outer ``edges`` (N, 2) and whether the window has ``cut`` (N,) the line off
    before them.
    """

    parameters: Tensor
    covariances: Tensor
    measured: dict[str, Tensor]
    measured_errors: dict[str, Tensor]
    chi2: Tensor
    low: Tensor
    high: Tensor
    converged: Tensor
    at_bound: Tensor
    edges: Tensor
    cut: Tensor

    @classmethod
    def empty(cls, low: Tensor, high: Tensor, n_parameters: int) -> Pass:
        """Return a pass over these windows in which nothing has been fitted."""

        def unknown(*shape: int) -> Tensor:
            return low.new_full((len(low), *shape), torch.nan)

        return cls(
            parameters=unknown(n_parameters),
            covariances=unknown(n_parameters, n_parameters),
            measured={name: unknown() for name in line_measurements()},
            measured_errors={name: unknown() for name in line_measurements()},
            chi2=unknown(),
            low=low,
            high=high,
            converged=torch.zeros_like(low, dtype=torch.bool),
            at_bound=torch.zeros_like(low, dtype=torch.bool),
            edges=unknown(2),
            cut=torch.zeros_like(low, dtype=torch.bool),
        )

    def with_rows_of(self, other: Pass, rows: Tensor) -> Pass:
        """Return this pass with the spectra `rows`, a mask of shape (N,), as they are in another one."""

        def merged(mine: Any, theirs: Any) -> Any:
            if isinstance(mine, dict):
                return {name: merged(value, theirs[name]) for name, value in mine.items()}
            return torch.where(rows.view(-1, *[1] * (mine.ndim - 1)), theirs, mine)

        return Pass._make(map(merged, self, other))


Rule = Callable[[Channels, Lines, Pass | None], tuple[Tensor, Tensor]]
"""Chooses the windows of a pass, low and high of shape (N,), from the lines found and the pass before."""


def whole(channels: Channels, _lines: Lines, _before: Pass | None) -> tuple[Tensor, Tensor]:
    """Look at the whole of each spectrum."""
    return channels.velocity[:, 0], channels.velocity[:, -1]


def around_line(half_window: float) -> Rule:
    """Look `half_window` km/s to each side of the line found."""

    def rule(_channels: Channels, lines: Lines, _before: Pass | None) -> tuple[Tensor, Tensor]:
        return lines.centre - half_window, lines.centre + half_window

    return rule


def around_w50(margin: float) -> Rule:
    """Look W50 and `margin` km/s to each side of the position, both as the pass before has them.

    Farther where an outer edge, at 20 % of the peak, lies farther from the position: beside one high horn W50 may
    leave out the rest of the line. The position stays in the middle.
    """

    def rule(_channels: Channels, _lines: Lines, before: Pass | None) -> tuple[Tensor, Tensor]:
        assert before is not None, "not the rule of a first pass"
        position, w50 = before.measured["position"], before.measured["w50"]
        reach = torch.maximum(w50, (before.edges - position[:, None]).abs().amax(1)) + margin
        return position - reach, position + reach

    return rule
