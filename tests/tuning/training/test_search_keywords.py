import keras
import keras_tuner
import numpy as np
import pytest

from tuning import RandomSearch

pytestmark = pytest.mark.one_backend

X = np.ones((4, 1))


def build(hp):
    hp.Float("x", 0.0, 1.0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


class Closed(RandomSearch):
    """Accepts only what its signature shows."""

    def run_trial(self, trial, x=None, *, rate=0.0):
        return trial.hyperparameters.Float("x", 0.0, 1.0) + rate


class Open(RandomSearch):
    """Accepts any name, and records which names came."""

    def run_trial(self, trial, *args, epoch_size=None, **kwargs):
        self.received = {"epoch_size": epoch_size, **kwargs}
        return trial.hyperparameters.Float("x", 0.0, 1.0)


class OwnFit(keras_tuner.HyperModel):
    """A hypermodel with a `fit` of its own."""

    def __init__(self):
        super().__init__()
        self.received = {}

    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, x, y, weights=None, **kwargs):
        self.received = {"weights": weights, **kwargs}
        return 1.0


@pytest.fixture
def make(tmp_path):
    def make(cls=RandomSearch, hypermodel=build, objective="loss"):
        return cls(hypermodel, objective, 3, seed=0, directory=tmp_path)

    return make


@pytest.mark.parametrize("cls", [RandomSearch, Open])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("worker", "workers"),
        ("executors", "executor"),
        ("epoch", "epochs"),
        ("validaton_data", "validation_data"),
        ("batchsize", "batch_size"),
        ("callback", "callbacks"),
    ],
)
def test_misspelled_keywords_are_refused_before_the_first_trial(make, cls, name, meant):
    search = make(cls)
    with pytest.raises(TypeError, match=f"`{name}`.*\nDid you mean '{meant}'"):
        search.search(X, X, **{name: 2}, verbose=0)
    assert search.results().empty


@pytest.mark.parametrize("name", ["val_data", "shuffel", "unheard_of"])
def test_keywords_that_fit_refuses_end_the_search_at_once(make, name):
    search = make()
    with pytest.raises(TypeError, match=f"`{name}`.*\n.*unexpected keyword"):
        search.search(X, X, **{name: 2}, verbose=0)
    assert search.results().status.tolist() == ["running"]  # to be repeated


def test_without_kwargs_only_the_signature_counts(make):
    search = make(Closed)
    for name in ("rates", "epochs", "trial"):
        with pytest.raises(TypeError, match=f"`{name}`.* `x`, `rate`. Received"):
            search.search(**{name: 2}, verbose=0)
    with pytest.raises(TypeError, match="mean 'rate'.*signature of `run_trial`"):
        search.search(rates=2, verbose=0)
    search.search(rate=2.0, verbose=0)
    assert search.results().score.min() >= 2


def test_with_kwargs_other_names_pass(make):
    search = make(Open)
    # Similar names are allowed if they are in the signature.
    given = {"epoch_size": 3, "n_epochs": 4, "epochs": 5, "anything": 6}
    search.search(**given, verbose=0)
    assert search.received == given
    assert search.results().status.tolist() == ["completed"] * 3


def test_a_fit_of_ones_own_gets_its_names(make):
    search = make(hypermodel=OwnFit(), objective=None)
    with pytest.raises(TypeError, match="'weights'.*`fit` of the hypermodel"):
        search.search(X, X, weight=2, verbose=0)
    search.search(X, X, weights=2, verbose=0)
    assert search.hypermodel.received["weights"] == 2


def test_other_type_errors_are_failures_of_a_trial(make):
    class Mistaken(Open):
        def run_trial(self, trial, *args, **kwargs):
            if trial.number == 1:
                return dict(1, other=1)
            return super().run_trial(trial, *args, **kwargs)

    search = make(Mistaken)
    search.search(anything=1, verbose=0)
    assert search.results().status.tolist() == ["completed", "failed", "completed"]
