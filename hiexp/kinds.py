"""Kinds of values that settings have, to annotate arguments with: what they allow is what `hiexp.settings` checks."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

Name = Annotated[str, MinLen(1)]
Whole = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(1)]
Several = Annotated[int, Ge(2)]
Seed = Annotated[int, Ge(0), Lt(2**32)]  # what NumPy and scikit-learn take
NotNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
InnerFraction = Annotated[float, Gt(0), Lt(1)]
Device = Literal["cpu", "cuda", "auto"]
Probability = Annotated[float, Ge(0), Lt(1)]
