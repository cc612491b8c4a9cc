import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from zoo import datasets, plot_predictions

pytestmark = pytest.mark.one_backend


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def identity(size):
    """A model that returns its inputs."""
    return keras.Sequential([keras.Input((size,)), keras.layers.Activation("linear")])


def of_arrays(x, y, **options):
    return datasets.from_arrays((x, y), validation=(x, y), **options)


def numbers_in(ax, size):
    """The matrix of the numbers that are written in the cells."""
    counts = np.zeros((size, size), int)
    for text in ax.texts:
        column, row = text.get_position()
        counts[row, column] = int(text.get_text())
    return counts


def titles_of(figure):
    """The names of the examples in a table."""
    (table,) = figure.subfigs[1].axes[0].tables
    cells = table.get_celld()
    rows = max(row for row, _ in cells)
    return [cells[row, 0].get_text().get_text() for row in range(1, rows + 1)]


def test_confusion_and_the_worst_mistakes():
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = np.arange(60) % 3
    figure = plot_predictions(identity(3), of_arrays(x, y), count=4)
    ax = figure.subfigs[0].axes[0]
    predicted = x.argmax(axis=1)
    np.testing.assert_array_equal(numbers_in(ax, 3), confusion_matrix(y, predicted))
    assert ax.get_title() == f"accuracy {(predicted == y).mean():.4f}"
    margin = x.max(axis=1) - x[np.arange(60), y]
    worst = np.argsort(-margin)[:4]
    expected = [f"{predicted[i]} (true: {y[i]})" for i in worst]
    assert titles_of(figure) == expected


@pytest.mark.parametrize(
    ("outputs", "threshold"),
    [([0.05, 0.4, 0.6, 0.9], 0.5), ([-3.0, -1.0, 0.4, 2], 0)],
)
def test_one_output_is_a_probability_or_a_logit(outputs, threshold):
    x, y = np.array(outputs)[:, None], np.array([1, 0, 1, 0])
    figure = plot_predictions(identity(1), of_arrays(x, y, class_names=["a", "b"]))
    counts = numbers_in(figure.subfigs[0].axes[0], 2)
    np.testing.assert_array_equal(counts, confusion_matrix(y, x[:, 0] > threshold))
    assert titles_of(figure) == ["a (true: b)", "b (true: a)"]


def test_a_regression_shows_its_largest_errors():
    x = np.random.default_rng(0).normal(size=(50, 2))
    y = x + np.array([0.0, 0.1]) * np.arange(50)[::-1, None]
    figure = plot_predictions(identity(2), of_arrays(x, y), count=3)
    ax = figure.subfigs[0].axes[0]
    assert ax.get_title() == f"RMSE {np.sqrt(((x - y) ** 2).mean()):.4g}"
    expected = [f"{x[i, 1]:.4g} (true: {y[i, 1]:.4g})" for i in range(3)]
    assert titles_of(figure) == expected


def test_a_perfect_model_has_no_mistakes():
    y = np.arange(20) % 2
    figure = plot_predictions(identity(2), of_arrays(np.eye(2)[y], y))
    assert figure.subfigs[1].get_suptitle() == "no mistakes"
    assert not figure.subfigs[1].axes


def test_images_and_texts_of_mistakes():
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype="uint8")
    y = np.arange(20) % 2
    layers = [keras.layers.Flatten(), keras.layers.Dense(2, kernel_initializer="zeros")]
    model = keras.Sequential([keras.Input((4, 4, 1)), *layers])
    figure = plot_predictions(model, of_arrays(images, y), count=20)
    axes = figure.subfigs[1].axes
    assert len(axes) == 10  # all examples of class 1
    np.testing.assert_allclose(axes[0].images[0].get_array(), images[1] / 255, 1e-6)

    tokens = np.random.default_rng(0).integers(2, 4, (20, 5))
    words = ["", "[UNK]", "good", "bad"]
    data = of_arrays(tokens, y, vocabulary=words)
    bias = keras.initializers.Constant([99.0, 0.0])  # always the first class
    layers = [keras.layers.Embedding(4, 2), keras.layers.Flatten()]
    layers += [keras.layers.Dense(2, bias_initializer=bias)]
    model = keras.Sequential([keras.Input((5,), dtype="int32"), *layers])
    figure = plot_predictions(model, data, count=2)
    texts = [text.get_text().strip() for text in figure.subfigs[1].axes[0].texts]
    assert texts[0] == "0 (true: 1)"
    assert set(texts[1].split()) <= {"good", "bad"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": (np.ones((2, 2)), [0, 1])}, "`data`. Expected a dataset of zoo"),
        ({"split": "test"}, r"`split`. Expected one of \['train', 'validation'\]"),
        ({"split": "val"}, "Did you mean 'validation'?"),
        ({"count": 0}, "`count`. Expected an integer >= 1"),
        ({"model": identity(2)}, r"shape \(6, 3\), for these data.*\(6, 2\)"),
    ],
)
def test_bad_arguments(change, message):
    x = np.random.default_rng(0).random((6, 3 if "model" not in change else 2))
    data = of_arrays(x, np.arange(6) % 3)
    with pytest.raises(ValueError, match=message):
        plot_predictions(**{"model": identity(3), "data": data, **change})
