"""What differs between Hydra 1.3 and 1.4.

Tested with hydra-core 1.3.8, omegaconf 2.3.1, hydra-joblib-launcher 1.2.0, and with 1.4.0rc3, 2.4.1rc1, 1.4.0rc3.
"""

from __future__ import annotations

import os
import re
import warnings
from importlib.metadata import version

IS_1_3 = version("hydra-core").startswith("1.3.")
# 1.3 asks whose defaults are meant; 1.4 has one set of them and warns who says so.
VERSION_BASE = {"version_base": "1.3"} if IS_1_3 else {}

# 1.4 wants a list of all that a setting may name; hiexp takes any estimator that its user names, as 1.3 does.
WITHOUT_WHITELIST = (
    "hydra.utils.instantiate() resolved",
    "Hydra configured Python logging without an execution whitelist",
)


def silence_whitelist_warnings() -> None:
    """Keep Hydra 1.4 from warning of each ``_target_``, in this process and in those that it starts."""
    if IS_1_3:
        return
    for message in WITHOUT_WHITELIST:
        warnings.filterwarnings("ignore", re.escape(message))
    known = [os.environ["PYTHONWARNINGS"]] if "PYTHONWARNINGS" in os.environ else []
    os.environ["PYTHONWARNINGS"] = ",".join([*known, *(f"ignore:{message}" for message in WITHOUT_WHITELIST)])
