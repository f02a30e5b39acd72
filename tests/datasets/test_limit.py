"""A few objects of any sample: always the same, of each class its share."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from hiexp.datasets.limit import limited
from hiexp.spectra import Spectra


def sample(reference, held_out=None):
    n = len(reference)
    ids = np.array([f"A{number:03d}" for number in range(n)])
    channels = np.zeros((n, 4))
    return Spectra(
        *(ids, channels, channels, np.ones(n), channels == 0),
        catalogue=pd.DataFrame(index=ids),
        systemic=np.full(n, np.nan),
        reference=np.array(reference),
        held_out=held_out,
    )


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=60), st.integers(1, 70))
def test_there_are_so_many_in_the_order_of_the_sample_and_of_each_class_its_share(reference, n):
    whole = sample(reference)
    few = limited(whole, n)
    assert len(few) == min(n, len(reference))
    assert few.ids.tolist() == sorted(few.ids)
    for name in set(reference):
        expected = reference.count(name) * len(few) / len(reference)
        assert abs((few.reference == name).sum() - expected) <= 2
    assert set(limited(whole, max(1, n - 1)).ids) <= set(few.ids)


def test_a_split_of_the_sample_keeps_both_sides():
    held_out = np.arange(40) >= 30
    few = limited(sample([0] * 20 + [1] * 20, held_out), 12)
    assert few.held_out.sum() == 3
    assert (few.reference == 0).sum() == 6
