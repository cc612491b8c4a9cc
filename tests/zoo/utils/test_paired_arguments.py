"""Inputs and labels that are passed as two arguments."""

import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import certify, evaluate_robustness
from zoo.datasets import from_arrays

pytestmark = pytest.mark.one_backend
X, Y = np.full((6, 2), 0.5, "float32"), np.arange(6) % 3


@pytest.mark.parametrize("y", [Y, Y.tolist()])
def test_the_error_shows_the_call_with_a_pair(y):
    model = mlp((2,), 3, units=())
    with pytest.raises(TypeError, match=r"Use: certify\(model, \(x, y\), 0.06\)"):
        certify(model, X, y, 0.06)
    with pytest.raises(TypeError, match=r"Use: evaluate_robustness\(model, \(x, y\)"):
        evaluate_robustness(model, X, y, epsilons=0.06)
    with pytest.raises(TypeError, match=r"Use: from_arrays\(\(x, y\)\)"):
        from_arrays(X, y)


def test_other_calls_are_those_of_the_function():
    with pytest.raises(TypeError, match="positional argument"):
        from_arrays((X, Y), 0.2)
    assert from_arrays((X, Y), validation=None).sizes == {"train": 6}
