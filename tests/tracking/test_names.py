"""What metrics are called in MLflow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiexp.tracking.names import grouped, plain


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("accuracy", "test/accuracy"),
        ("recall_2", "test/recall_2"),
        ("train_loss", "train/loss"),
        ("train_seconds", "time/train_seconds"),
        ("validation_accuracy", "validation/accuracy"),
        ("p_macro_f1", "chance/p_macro_f1"),
        ("precision_0", "test/precision_0"),
        ("p_accuracy_minus_yardstick", "yardstick/p_accuracy_minus_yardstick"),
        ("high_accuracy", "interval/high_accuracy"),
        ("n_test", "count/n_test"),
        ("inner_macro_f1", "search/inner_macro_f1"),
        ("median_chi2_dof", "fit/median_chi2_dof"),
    ],
)
def test_metrics_stand_with_their_like(name, shown):
    assert grouped(name) == shown


@given(st.from_regex(r"(train_|validation_|low_|p_|n_|chance95_|)[a-z][a-z0-9_]{0,20}", fullmatch=True))
def test_the_plain_name_comes_back(name):
    assert plain(grouped(name)) == name
    assert plain(name) == name
