"""The fits of one spectrum after the other, compiled: what a CPU does where the curve has been compiled, too.

The batched functions of the same names in `hiexp.fitting` do the same on a GPU and for curves that are written in
torch alone. They pass every number through memory some dozens of times; here a spectrum stays in its core's cache.
"""

from hiexp.fitting.compiled.curves import compiled_curve
from hiexp.fitting.compiled.least_squares import least_squares, linear_least_squares, products
from hiexp.fitting.compiled.measure import measure

__all__ = ["compiled_curve", "least_squares", "linear_least_squares", "measure", "products"]
