import keras_tuner
import pytest

from tuning import RandomSearch
from tuning.oracles.checked_objective import checked_objective

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("val_acuracy", "val_accuracy"),
        ("val_robust_acc", "val_robust_accuracy"),
        ("los", "loss"),
        ("val_aucc", "val_auc"),
        ("f1_scor", "f1_score"),
        ("val_mean_squared_eror", "val_mean_squared_error"),
    ],
)
def test_misspelled_names_are_refused_where_the_search_is_made(tmp_path, name, meant):
    with pytest.raises(ValueError, match=f"objective='{name}'\nDid you mean '{meant}'"):
        RandomSearch(lambda hp: None, name, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_metric_of_ones_own_needs_a_direction(tmp_path):
    with pytest.raises(ValueError, match=r"\nFor .* `keras_tuner.Objective\('profit'"):
        RandomSearch(lambda hp: None, ["loss", "profit"], directory=tmp_path)
    objective = keras_tuner.Objective("profit", "max")
    search = RandomSearch(lambda hp: None, objective, directory=tmp_path)
    assert search.oracle.objective.direction == "max"


@pytest.mark.parametrize(
    "wrong", [[], 3, ("loss",), keras_tuner.Objective("loss", "minimize")]
)
def test_what_is_no_objective_is_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="`objective`. Expected"):
        RandomSearch(lambda hp: None, wrong, directory=tmp_path)


def test_in_a_list_accuracies_of_our_trainers_are_maximized():
    loss, accuracy = checked_objective(["val_loss", "val_robust_accuracy"])
    assert loss == "val_loss"
    assert accuracy.direction == "max"


@pytest.mark.parametrize(
    ("name", "direction"),
    [("loss", "min"), ("accuracy", "max"), ("auc", "max"), ("mae", "min")],
)
def test_names_that_keras_knows_need_no_direction(tmp_path, name, direction):
    search = RandomSearch(lambda hp: None, f"val_{name}", directory=tmp_path)
    assert search.oracle.objective.name == f"val_{name}"
    assert search.oracle.objective.direction == direction
