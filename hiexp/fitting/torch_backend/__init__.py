"""The fits of a batch of spectra at once, in torch, on a CPU or a GPU: the peer of `hiexp.fitting.numba_backend`."""

from hiexp.fitting.torch_backend.least_squares import expand, least_squares, linear_least_squares, products
from hiexp.fitting.torch_backend.measure import measure

__all__ = ["expand", "least_squares", "linear_least_squares", "measure", "products"]
