"""Several models in one: training is right, and PyTorch knows of all weights."""

import keras
import numpy as np
import pytest

from zoo import ensemble, mlp

torch_only = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="what PyTorch knows of a model"
)


def linear(name="mlp"):
    model = mlp((3,), 1, units=(), name=name)
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    return model


def averaged():
    return ensemble.average([linear(), linear()], task="regression")


def side_by_side(first, second):
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Average()([first(inputs), second(inputs)]))


@keras.saving.register_keras_serializable(package="tests")
class Listed(keras.Model):
    def __init__(self, models, **kwargs):
        super().__init__(**kwargs)
        self.members = models

    def call(self, inputs):
        return sum(model(inputs) for model in self.members) / len(self.members)


def loaded_twice(tmp_path):
    linear().save(tmp_path / "model.keras")
    model = Listed(
        [keras.saving.load_model(tmp_path / "model.keras") for _ in range(2)]
    )
    model(np.ones((1, 3)))
    return model


def plain(tmp_path):
    members = []
    for _ in range(2):
        layer = keras.layers.Dense(1, name="layer")
        members.append(keras.Sequential([keras.Input((3,)), layer], name="same"))
    return ensemble.average(members, task="regression")


def reloaded(tmp_path):
    averaged().save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


def cloned(tmp_path):
    original = linear()
    model = Listed([original, keras.models.clone_model(original)])
    model(np.ones((1, 3)))
    return model


MODELS = {
    "average": lambda tmp_path: averaged(),
    "functional": lambda tmp_path: side_by_side(linear("a"), linear("b")),
    "average of averages": lambda tmp_path: ensemble.average(
        [averaged(), averaged()], task="regression"
    ),
    "one file loaded twice": loaded_twice,
    "a saved average": reloaded,
    "a clone": cloned,
    "plain Keras models": plain,
}


@pytest.mark.parametrize("kind", MODELS)
def test_gradient_descent_is_the_closed_form(kind, tmp_path):
    model = MODELS[kind](tmp_path)
    generator = np.random.default_rng(1)
    x = generator.normal(size=(32, 3)).astype("float32")
    y = generator.normal(size=(32, 1)).astype("float32")
    right = [weight.astype("float64") for weight in model.get_weights()]
    count = len(right) // 2  # members, a kernel and a bias each
    for _ in range(5):
        kernel, bias = sum(right[::2]) / count, sum(right[1::2]) / count
        error = 2 * (x @ kernel + bias - y) / len(x)
        for member in range(count):
            right[2 * member] = right[2 * member] - 0.1 * x.T @ error / count
            right[2 * member + 1] = right[2 * member + 1] - 0.1 * error.sum(0) / count
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, y, epochs=5, batch_size=32, shuffle=False, verbose=0)
    for weight, expected in zip(model.get_weights(), right, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-5)


@torch_only
@pytest.mark.parametrize("kind", MODELS)
def test_an_optimizer_of_torch_trains_all_weights(kind, tmp_path):
    import torch

    model = MODELS[kind](tmp_path)
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 1)))
    before = model.get_weights()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    model(np.ones((1, 3))).sum().backward()
    optimizer.step()
    for weight, old in zip(model.get_weights(), before, strict=True):
        assert np.all(weight != old)


@torch_only
def test_names_stay_where_paths_differ():
    assert {name for name, _ in linear().named_parameters()} == {
        "_torch_params.head/kernel",
        "_torch_params.head/bias",
    }


@torch_only
def test_names_of_equal_paths_are_numbered_and_free():
    layer = keras.layers.Layer(name="layer")
    for name in ("w", "w_2", "w", "w"):
        layer.add_weight(shape=(), name=name)
    names = [name.rsplit("/")[-1] for name, _ in layer.named_parameters()]
    assert names == ["w", "w_2", "w_3", "w_4"]


@torch_only
def test_a_state_dict_is_that_of_an_equal_model():
    import torch

    model, other = averaged(), averaged()
    model.set_weights([np.full(w.shape, i) for i, w in enumerate(model.get_weights())])
    other.load_state_dict(model.state_dict())
    assert all(
        torch.equal(ours.value, theirs.value)
        for ours, theirs in zip(model.variables, other.variables, strict=True)
    )
