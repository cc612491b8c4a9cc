import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from zoo import datasets

pytestmark = pytest.mark.one_backend

Y = np.arange(60) % 3
X = np.random.default_rng(0).random((60, 4))


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def parts(figure):
    """The axes of the targets, and those of the examples."""
    left, right = figure.subfigs
    return left.axes[0], right.axes


def bars(ax):
    names = [label.get_text() for label in ax.get_yticklabels()]
    return dict(zip(names, (bar.get_width() for bar in ax.patches), strict=True))


def test_classes_and_a_table():
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    kinds = pd.Series(Y).map({0: "red", 1: "green", 2: "blue"})
    data = datasets.from_arrays((frame, kinds), validation=0)
    ax, (panel,) = parts(data.plot())
    assert bars(ax) == {"blue": 20, "green": 20, "red": 20}
    (table,) = panel.tables
    cells = {
        place: cell.get_text().get_text() for place, cell in table.get_celld().items()
    }
    assert [cells[0, column] for column in range(5)] == ["", "a", "b", "c", "d"]
    assert [cells[2, 0], cells[2, 1]] == ["green", f"{X[1, 0]:.4g}"]


def test_images_keep_their_values_and_the_order_of_training():
    images = np.random.default_rng(0).integers(0, 256, (60, 5, 6, 3), dtype="uint8")
    data = datasets.from_arrays((images, Y), validation=0)
    _, axes = parts(data.plot())
    assert data.order.counter == 0
    assert [ax.get_title() for ax in axes[:4]] == ["0", "1", "2", "0"]
    np.testing.assert_allclose(axes[3].images[0].get_array(), images[3] / 255, 1e-6)
    assert len(axes) == 12


def test_targets_of_a_regression():
    data = datasets.from_arrays((X, X[:, 0] ** 2), validation=0)
    ax, _ = parts(data.plot())
    assert sum(bar.get_height() for bar in ax.patches) == 60


def test_several_labels_are_counted_one_by_one():
    labels = X[:, :3] > 0.5
    data = datasets.from_arrays((X, labels), validation=0, class_names=["a", "b", "c"])
    ax, _ = parts(data.plot())
    assert list(bars(ax).values()) == labels.sum(axis=0).tolist()


def test_texts_are_words_or_characters():
    tokens = np.array([[2, 3, 1, 0], [3, 3, 2, 2]] * 10)
    for words, text in ((["ab", "cd"], "ab cd [UNK]"), (["a", "$"], r"a\$[UNK]")):
        vocabulary = ["", "[UNK]", *words]
        data = datasets.from_arrays(
            (tokens, Y[:20] % 2), vocabulary=vocabulary, validation=0
        )
        _, (panel,) = parts(data.plot())
        assert panel.texts[1].get_text().strip() == text


def test_a_language_model_counts_its_tokens():
    vocabulary = [
        "",
        "[UNK]",
        *map(chr, range(97, 123)),
        *map(chr, range(65, 91)),
        "\n",
    ]
    tokens = np.random.default_rng(0).integers(2, len(vocabulary), (60, 9))
    tokens[:, 0] = len(vocabulary) - 1
    data = datasets.from_arrays((tokens, tokens), vocabulary=vocabulary, validation=0)
    ax, _ = parts(data.plot())
    counts = bars(ax)
    assert len(counts) == 30
    assert next(iter(counts.items())) == (repr("\n"), (tokens == tokens[0, 0]).sum())


def test_it_draws_in_a_part_of_a_figure():
    figure = plt.figure(layout="constrained")
    left, _ = figure.subfigures(1, 2)
    data = datasets.from_arrays((X, Y), validation=0)
    assert data.plot(left) is left
