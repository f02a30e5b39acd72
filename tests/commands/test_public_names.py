"""What a notebook imports, and what that costs."""

import subprocess
import sys

import pytest

import hiexp


def test_every_public_name_is_there():
    assert sorted(hiexp.PUBLIC) == hiexp.__all__
    for name in hiexp.__all__:
        assert getattr(hiexp, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = hiexp.no_such_name


def test_the_package_alone_imports_no_library():
    heavy = "{'numpy', 'pandas', 'torch', 'mlflow', 'sklearn', 'astropy'}"
    code = f"import sys, hiexp; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
