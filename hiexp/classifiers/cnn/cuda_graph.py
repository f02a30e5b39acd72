"""A training step as one launch on a GPU, instead of three hundred small ones that it takes longer to ask for."""

from __future__ import annotations

from collections.abc import Callable

import torch


class CudaGraphStep:
    """A step of a training that is recorded as a CUDA graph and replayed, with the same result to the last bit.

    There is a graph for each size of batch. The first step of a size is taken as it is, since libraries and optimiser
    then allocate what they keep; the second is recorded.

    Parameters
    ----------
    step : callable
        A step, given the rows of a batch, a tensor on the GPU. It must do the same each time, without waiting for
        the GPU, in tensors that stay where they are.
    """

    def __init__(self, step: Callable[[torch.Tensor], None]) -> None:
        self.step = step
        self.aside = torch.cuda.Stream()  # nothing may be recorded on the stream that everything else is on
        self.graphs: dict[int, tuple[torch.cuda.CUDAGraph, torch.Tensor] | None] = {}

    def __call__(self, rows: torch.Tensor) -> None:
        """Take a step."""
        size = len(rows)
        if size not in self.graphs:
            self.graphs[size] = None
            self.aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.aside):
                self.step(rows)
            torch.cuda.current_stream().wait_stream(self.aside)
            return
        recorded = self.graphs[size]
        if recorded is None:
            self.graphs[size] = recorded = torch.cuda.CUDAGraph(), rows.clone()
            with torch.cuda.graph(recorded[0], stream=self.aside):
                self.step(recorded[1])
        graph, given = recorded
        given.copy_(rows)
        graph.replay()
