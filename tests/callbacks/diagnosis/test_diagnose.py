import random

import keras
import numpy as np
import pytest

from callbacks import diagnose
from zoo.datasets import from_arrays

SPARSE = "sparse_categorical_crossentropy"


def causes(report):
    return [one.cause for one in report.findings]


def test_healthy_models_have_a_healthy_report(classifier, table):
    report = diagnose(classifier(3, "softmax", SPARSE), *table)
    assert report.findings == ()
    assert report.is_healthy
    assert "200 examples" in str(report)


@pytest.mark.heavy
def test_the_model_and_the_seeds_stay_as_they_are(table):
    def prepared():
        keras.utils.set_random_seed(3)
        layers = [
            keras.Input((4,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, "softmax"),
        ]
        model = keras.Sequential(layers)
        model.compile("adam", SPARSE, metrics=["accuracy"])
        return model

    def trained(model):
        history = model.fit(*table, epochs=2, verbose=0).history
        return history, model.get_weights(), random.random(), np.random.rand()

    plain = trained(prepared())
    model = prepared()
    before = [np.array(v) for v in (*model.variables, *model.optimizer.variables)]
    diagnose(model, *table)
    after = [np.array(v) for v in (*model.variables, *model.optimizer.variables)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    history, weights, *seeds = trained(model)
    assert history == plain[0]
    for a, b in zip(weights, plain[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert tuple(seeds) == plain[2:]


def test_overfitting_a_copy_leaves_no_trace(classifier, table):
    model = classifier(3, "softmax", SPARSE, optimizer=keras.optimizers.Adam(0.01))
    before = model.get_weights()
    state = random.getstate()
    report = diagnose(model, *table, overfit=True)
    assert report.findings == ()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert random.getstate() == state
    assert int(model.optimizer.iterations) == 0


@pytest.mark.heavy
def test_a_rate_too_low_to_memorize_a_batch_is_found(classifier, table):
    model = classifier(3, "softmax", SPARSE, optimizer=keras.optimizers.SGD(1e-4))
    report = diagnose(model, *table, overfit=True)
    assert causes(report) == ["learning_rate_too_low"]
    # Two features, or equal targets, are not enough to tell.
    few = classifier(
        3, "softmax", SPARSE, features=2, optimizer=keras.optimizers.SGD(1e-4)
    )
    assert causes(diagnose(few, table[0][:, :2], table[1], overfit=True)) == []


@pytest.mark.heavy
def test_a_model_that_cannot_memorize_a_batch_is_found(table):
    class Constant(keras.layers.Layer):
        def call(self, x):
            return 0 * x

    layers = [
        *(keras.Input((4,)), keras.layers.Dense(1), Constant()),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), SPARSE)
    report = diagnose(model, *table, overfit=True)
    assert "not_learning" in causes(report)


def test_datasets_are_read(classifier, table):
    x, y = table
    model = classifier(3, "softmax", SPARSE)
    data = from_arrays((x, y), batch_size=16)
    assert diagnose(model, data.train).findings == ()
    batches = [(x[i : i + 20], y[i : i + 20] + 1) for i in range(0, 200, 20)]
    report = diagnose(model, iter(batches))
    assert causes(report) == ["labels_out_of_range"]


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(8, "relu")
        self.end = keras.layers.Dense(1, "softmax")

    def call(self, x):
        return self.end(self.hidden(x))


def test_subclassed_models_with_tf_data_are_read(table):
    tf = pytest.importorskip("tensorflow")
    x, y = table
    dataset = tf.data.Dataset.from_tensor_slices((x, y == 0)).batch(32)
    model = Net()
    model.compile("adam", "binary_crossentropy")
    report = diagnose(model, dataset)
    assert causes(report) == ["wrong_output_activation"]


class Hidden(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(8)

    def call(self, x):
        return self.hidden(x)


class Foreign(Net):
    def call(self, x):
        outer = super().call
        return outer(keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(x)))


def test_what_cannot_be_read_is_said(table):
    x, y = table
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    model.compile("adam", lambda y, p: keras.ops.mean(p**2, axis=-1))
    report = diagnose(model, x, y)
    assert report.findings == ()
    assert report.verdict.endswith("not seen: the loss, which is not one of Keras.")
    model = Foreign()
    model.compile("adam", "binary_crossentropy")
    report = diagnose(model, x, y == 0)
    assert report.findings == ()
    assert any("`call`" in one for one in report.not_seen)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, x, y: diagnose("model", x, y), "a compiled keras.Model"),
        (lambda m, x, y: diagnose(m, x), "targets"),
        (lambda m, x, y: diagnose(m, iter([x[:8], x[:8]])), "targets"),
        (lambda m, x, y: diagnose(m, iter([])), "at least one batch"),
        (lambda m, x, y: diagnose(m, x, y[:5]), "Pass one target for each example"),
        (lambda m, x, y: diagnose(m, x[:0], y[:0]), "same number of examples"),
        (lambda m, x, y: diagnose(m, iter([(x, y)]), y), "no targets"),
        (lambda m, x, y: diagnose(m, x, y, batch_size=0), "batch_size"),
        (lambda m, x, y: diagnose(m, x, y, batch_size="8"), "batch_size"),
        (lambda m, x, y: diagnose(m, x, y, overfit="yes"), "overfit"),
        (lambda m, x, y: diagnose(None, x, y), "a compiled keras.Model"),
        (lambda m, x, y: diagnose(m, None, y), "argument `x`.*x=None"),
        (lambda m, x, y: diagnose(m, "train", y), "argument `x`.*x='train'"),
        (lambda m, x, y: diagnose(m, 3.0, y), "argument `x`.*x=3.0"),
        (lambda m, x, y: diagnose(m, m, y), "argument `x`.*x='Sequential'"),
        (lambda m, x, y: diagnose(m, x, "labels"), "argument `y`.*y='labels'"),
        (lambda m, x, y: diagnose(m, x, 1), "argument `y`.*y=1"),
        (lambda m, x, y: diagnose(m, x, iter([y])), "argument `y`.*list_iterator"),
        (lambda m, x, y: diagnose(m, x, y, 2.0), "argument `sample_weight`"),
    ],
)
def test_wrong_arguments_are_named(classifier, table, change, message):
    with pytest.raises(ValueError, match=message):
        change(classifier(3, "softmax", SPARSE), *table)


def test_models_that_cannot_be_diagnosed_are_named(table):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="Call `model.compile"):
        diagnose(model, *table)
    model = keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="a model with weights"):
        diagnose(model, *table)


def test_a_layer_that_makes_nan_is_found(table):
    x, y = table

    class Log(keras.layers.Layer):
        def call(self, x):
            return keras.ops.log(x)

    layers = [keras.Input((4,)), Log(name="log"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    report = diagnose(model, x, y)
    assert report.findings[0].cause == "not_finite"
    assert report.findings[0].where == "layer 'log'"


def test_large_weights_are_confirmed_by_the_first_loss(classifier, table):
    model = classifier(3, "softmax", SPARSE)
    layer = model.get_layer("output")
    layer.set_weights([50 * layer.get_weights()[0], np.zeros(3)])
    report = diagnose(model, *table)
    assert causes(report) == ["bad_initialization"]
    assert any("first loss" in str(one) for one in report.findings[0].evidence)


def test_a_page_is_written(classifier, table, tmp_path):
    report = diagnose(classifier(1, "softmax", "bce"), table[0], table[1] == 0)
    path = tmp_path / "report.html"
    report.to_html(path)
    page = path.read_text()
    assert page.startswith("<!doctype html>")
    assert "wrong_output_activation" in page
    assert "data:image/png;base64" in page
    assert 'name="viewport"' in page
    assert 'src="http' not in page
    assert report._repr_html_() in page
    with pytest.raises(FileNotFoundError):
        report.to_html(tmp_path / "missing" / "report.html")
    figure = report.plot()
    assert len(figure.axes) == 1


def test_inputs_of_another_shape_are_an_error_with_both_shapes(classifier, table):
    x, y = table
    model = classifier(3, "softmax", SPARSE)
    expected = r"`x`. Expected examples of shape \[\(4,\)\].* Received: x=\[\(3,\)\]"
    with pytest.raises(ValueError, match=expected):
        diagnose(model, x[:, :3], y)
    with pytest.raises(ValueError, match=expected):
        diagnose(model, iter([(x[:, :3], y)]))
    net = Hidden()
    net.compile("adam", "mse")
    net(x)
    with pytest.raises(ValueError, match=r"shape \(3,\)'\nThe model raises") as error:
        diagnose(net, x[:, :3], y)
    assert "\x1b" not in str(error.value)  # Keras prints in bold
