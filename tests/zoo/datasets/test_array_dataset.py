import keras
import numpy as np

from zoo.datasets import ArrayDataset, Arrays, Order

ROWS = Arrays(np.arange(10.0, dtype="float32")[:, None], np.arange(10))


def rows_of(dataset):
    return np.concatenate([y for _, y in dataset]).tolist()


def test_without_an_order_rows_stay_in_place():
    dataset = ArrayDataset(ROWS, batch_size=4)
    assert [y.tolist() for _, y in dataset] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(dataset) == 3


def test_every_iteration_has_the_order_that_belongs_to_the_counter():
    order = Order(seed=0)
    dataset = ArrayDataset(ROWS, 4, order)
    seen = [rows_of(dataset) for _ in range(3)]
    assert seen == [order.permutation(10, counter).tolist() for counter in range(3)]
    order.counter = 1
    assert rows_of(dataset) == seen[1]


def test_x_and_y_stay_together():
    for x, y in ArrayDataset(ROWS, 3, Order(seed=0)):
        np.testing.assert_array_equal(x[:, 0], y)


def test_images_are_scaled_as_they_are_read():
    images = Arrays(np.array([[0, 51, 255]], "uint8"), np.zeros(1), scale=1 / 255)
    (x, _), *_ = ArrayDataset(images, 1)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, [[0, 0.2, 1]], rtol=1e-7)
    assert x.max() == 1.0


def test_rebatch_keeps_the_order():
    dataset = ArrayDataset(ROWS, 4, Order(seed=0))
    small = dataset.rebatch(2)
    assert len(small) == 5
    first = rows_of(dataset)
    dataset.order.counter = 0
    assert rows_of(small) == first


class Recording(ArrayDataset):
    """Keeps the rows that were read, in order."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = []

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        self.seen.extend(y.tolist())
        return x, y


def test_a_pass_keeps_its_order_when_it_lasts_for_several_epochs():
    order = Order(seed=5)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    dataset = Recording(ROWS, 3, order)  # 4 batches
    model.fit(dataset, epochs=1, shuffle=False, verbose=0)  # builds
    order.counter = 3
    dataset.seen.clear()
    model.fit(dataset, epochs=4, steps_per_epoch=2, shuffle=False, verbose=0)
    passes = [order.permutation(10, counter).tolist() for counter in (3, 4)]
    # TensorFlow may first look at two batches, of the order that was there before.
    assert dataset.seen[-20:] == passes[0] + passes[1]


class SeenRows(keras.callbacks.Callback):
    """Sets the counter where an epoch begins, and reads which rows a model saw."""

    def __init__(self, dataset):
        super().__init__()
        self.dataset = dataset
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.dataset.order.counter = epoch
        self.dataset.seen.clear()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(list(self.dataset.seen))


def test_fit_sees_the_order_of_each_epoch():
    order = Order(seed=5)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    dataset = Recording(ROWS, 4, order)
    callback = SeenRows(dataset)
    for initial_epoch, epochs in ((0, 3), (1, 4)):
        callback.epochs.clear()
        model.fit(
            dataset,
            epochs=epochs,
            initial_epoch=initial_epoch,
            shuffle=False,
            callbacks=[callback],
            verbose=0,
        )
        expected = range(initial_epoch, epochs)
        assert callback.epochs == [order.permutation(10, e).tolist() for e in expected]
