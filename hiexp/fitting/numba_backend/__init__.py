"""The fits of one spectrum after the other, compiled, on a CPU: the peer of `hiexp.fitting.torch_backend`."""

from hiexp.fitting.numba_backend.busy import busy
from hiexp.fitting.numba_backend.curves import compiled_curve
from hiexp.fitting.numba_backend.least_squares import expand, least_squares, linear_least_squares, products
from hiexp.fitting.numba_backend.measure import measure

__all__ = [
    "busy",
    "compiled_curve",
    "expand",
    "least_squares",
    "linear_least_squares",
    "measure",
    "products",
]
