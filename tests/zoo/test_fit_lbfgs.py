"""Closed forms, scikit-learn and SciPy agree with what `fit_lbfgs` finds."""

import sys

import keras
import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der
from sklearn.linear_model import LogisticRegression

from zoo import fit_lbfgs, mlp


def linear(features, outputs=1, **settings):
    dense = keras.layers.Dense(outputs, **settings)
    return keras.Sequential([keras.Input((features,)), dense])


def random_data(examples, features):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(examples, features)) * np.geomspace(0.1, 10, features)
    return x, x @ generator.normal(size=(features, 1)) + generator.normal(
        size=(examples, 1)
    )


def test_least_squares_with_weights_and_decay():
    x, y = random_data(60, 5)
    weight = np.random.default_rng(1).uniform(0.1, 2, 60)
    model = linear(5, kernel_regularizer=keras.regularizers.L2(0.25))
    model.compile(loss="mse")
    result = fit_lbfgs(model, x, y, sample_weight=weight)
    assert result.success, result.message

    # Keras divides the weighted sum by the number of examples. No decay of the bias.
    columns = np.column_stack([x, np.ones(60)])
    decay = 0.25 * np.diag([1.0] * 5 + [0.0])
    matrix = columns.T * weight @ columns / 60 + decay
    solution = np.linalg.solve(matrix, columns.T * weight @ y / 60)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(np.append(kernel, bias), solution[:, 0], rtol=1e-5)
    least = np.mean(weight[:, None] * (columns @ solution - y) ** 2)
    least += 0.25 * np.sum(solution[:5] ** 2)
    np.testing.assert_allclose(result.fun, least, rtol=1e-10)


def test_logistic_regression_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(100, 3))
    y = (x @ [1.0, -2.0, 0.5] + generator.normal(size=100) > 0).astype("int32")
    model = linear(3, kernel_regularizer=keras.regularizers.L2(0.01))
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    assert fit_lbfgs(model, x, y[:, None], tolerance=1e-9).success
    # scikit-learn minimizes the sum of the losses, plus |w|^2 / (2 C).
    peer = LogisticRegression(C=1 / (2 * 0.01 * 100), tol=1e-10).fit(x, y)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel[:, 0], peer.coef_[0], rtol=1e-4)
    np.testing.assert_allclose(bias, peer.intercept_, rtol=1e-4)


@keras.saving.register_keras_serializable("test_fit_lbfgs")
class Rosenbrock(keras.layers.Layer):
    """Adds Rosenbrock's function of two weights of two shapes to the loss."""

    def build(self, input_shape):
        self.first = self.add_weight(shape=(), initializer="zeros")
        self.second = self.add_weight(shape=(1, 1), initializer="zeros")

    def call(self, inputs):
        first, second = self.first, self.second[0, 0]
        self.add_loss(100 * (second - first**2) ** 2 + (1 - first) ** 2)
        return inputs


def test_the_path_is_that_of_scipy():
    inputs = keras.Input((1,))
    model = keras.Model(inputs, Rosenbrock()(inputs))
    model.compile()
    x = np.zeros((1, 1), "float32")
    path = [rosen([0, 0])]
    options = {"maxcor": 10, "gtol": 1e-6, "ftol": 10 * np.finfo(float).eps}
    peer = minimize(
        rosen,
        [0.0, 0.0],
        jac=rosen_der,
        method="L-BFGS-B",
        options=options,
        callback=lambda vector: path.append(rosen(vector)),
    )
    result = fit_lbfgs(model, x)
    np.testing.assert_allclose(result.losses, path, rtol=1e-6, atol=1e-18)
    assert (result.nit, result.nfev) == (peer.nit, peer.nfev)
    assert len(result.losses) == len(result.evaluations) == result.nit + 1
    assert result.evaluations[0] == 1
    assert result.evaluations[-1] == result.nfev
    np.testing.assert_allclose(
        [weight.item() for weight in model.get_weights()], 1, atol=1e-5
    )


def network(**settings):
    model = mlp((2,), 1, units=(8,), activation="tanh", **settings)
    model.compile("adam", "mse")
    return model


def waves():
    x = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype("float32")
    return x, np.sin(3 * x[:, :1]) * x[:, 1:]


def test_the_loss_is_that_of_evaluate():
    model = network(normalization="batch", dropout=0.5)
    x, y = waves()
    model.fit(x, y, verbose=0)  # moves the batch statistics and the optimizer
    fixed = [v.numpy() for v in model.non_trainable_variables if "seed" not in v.path]
    optimizer = [np.array(variable) for variable in model.optimizer.variables]
    before = model.evaluate(x, y, verbose=0)
    result = fit_lbfgs(model, x, y, max_iterations=20)
    np.testing.assert_allclose(result.losses[0], before, rtol=1e-5)
    np.testing.assert_allclose(result.fun, model.evaluate(x, y, verbose=0), rtol=1e-4)
    assert result.fun == result.losses[-1] < before / 2
    assert (np.diff(result.losses) <= 0).all()
    assert result.nit == 20
    assert not result.success
    kept = [v.numpy() for v in model.non_trainable_variables if "seed" not in v.path]
    for old, new in zip(fixed, kept, strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(optimizer, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, np.array(new))


def test_frozen_weights_stay():
    model = network()
    model.get_layer("hidden_1").trainable = False
    model.compile(loss="mse")
    frozen = [np.array(weight) for weight in model.get_layer("hidden_1").weights]
    head = np.array(model.get_layer("head").kernel)
    fit_lbfgs(model, *waves())
    for old, new in zip(frozen, model.get_layer("hidden_1").weights, strict=True):
        np.testing.assert_array_equal(old, np.array(new))
    assert (head != np.array(model.get_layer("head").kernel)).any()


@pytest.mark.one_backend
def test_an_interrupted_training_changes_nothing(monkeypatch):
    def interrupted(function, *arguments, **settings):
        for _ in range(3):
            function(np.ones_like(arguments[0]))
        raise KeyboardInterrupt

    model = network()
    before = model.get_weights()
    module = sys.modules["zoo.fit_lbfgs"]  # `zoo.fit_lbfgs` is the function
    monkeypatch.setattr(module, "minimize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_lbfgs(model, *waves())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert keras.config.floatx() == "float32"


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_iterations": 0}, "`max_iterations`. Expected an integer >= 1"),
        ({"tolerance": 0}, "`tolerance`. Expected a number > 0"),
        ({"memory": 1.5}, "`memory`. Expected an integer >= 1"),
        ({"y": None}, "`y`. Expected targets"),
        ({"sample_weight": np.ones(3)}, "`sample_weight`. Expected as many examples"),
        ({"model": "mlp"}, "`model`. Expected a keras.Model that is compiled"),
        ({"model": mlp((2,), 1)}, "`model`. Expected a keras.Model that is compiled"),
    ],
)
def test_invalid_arguments(arguments, message):
    x, y = waves()
    with pytest.raises(ValueError, match=message):
        fit_lbfgs(**{"model": network(), "x": x, "y": y, **arguments})


@pytest.mark.one_backend
def test_constraints_are_refused():
    model = linear(2, kernel_constraint="non_neg")
    model.compile(loss="mse")
    message = "whose weights have no constraints.*\n.*keep the constraint of .*kernel"
    with pytest.raises(ValueError, match=message):
        fit_lbfgs(model, *waves())


@pytest.mark.one_backend
def test_a_loss_that_is_not_finite_at_the_start():
    x, y = waves()
    y[3] = np.nan
    with pytest.raises(ValueError, match="a finite loss.*loss nan in evaluation 1"):
        fit_lbfgs(network(), x, y)


def minus_log(y_true, y_pred):
    return y_pred - keras.ops.log(y_pred)


@pytest.mark.one_backend
def test_a_loss_that_is_not_finite_on_the_way():
    """From 100, SciPy may end the minimization of x - log(x) at 15, in silence."""
    model = linear(1, use_bias=False)
    model.compile(loss=minus_log)
    model.set_weights([np.array([[100.0]])])
    with pytest.raises(ValueError, match="The model is unchanged.*`log`"):
        fit_lbfgs(model, np.ones((1, 1)), np.ones((1, 1)))
    assert model.get_weights()[0].item() == 100
