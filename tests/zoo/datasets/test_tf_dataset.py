import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.datasets import Arrays, Order
from zoo.datasets.tf_dataset import in_memory, streamed

pytestmark = pytest.mark.one_backend

ROWS = Arrays(np.arange(10, dtype="float32")[:, None], np.arange(10))


def make(kind, order):
    if kind == "in_memory":
        return in_memory(ROWS, 4, order)
    examples = tf.data.Dataset.from_tensor_slices((ROWS.x, ROWS.y))
    return streamed(examples, 10, 4, order=order, buffer=10)


def rows_of(dataset):
    return np.concatenate([y for _, y in dataset.as_numpy_iterator()]).tolist()


kinds = pytest.mark.parametrize("kind", ["in_memory", "streamed"])


@kinds
def test_cardinality_and_batches(kind):
    dataset = make(kind, order=None)
    assert dataset.cardinality().numpy() == 3
    batches = [y.tolist() for _, y in dataset.as_numpy_iterator()]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@kinds
def test_order_is_a_function_of_seed_and_counter_whatever_the_global_seed(kind):
    order = Order(seed=1)
    tf.random.set_seed(0)
    dataset = make(kind, order)
    seen = [rows_of(dataset) for _ in range(3)]
    assert len({tuple(rows) for rows in seen}) == 3
    assert order.counter == 3
    for rows in seen:
        assert sorted(rows) == list(range(10))

    tf.random.set_seed(99)
    again = Order(seed=1)
    other = make(kind, again)
    again.counter = 2
    assert rows_of(other) == seen[2]
    order.counter = 1
    assert rows_of(dataset) == seen[1]


def test_in_memory_follows_the_same_order_as_arrays():
    order = Order(seed=4)
    assert rows_of(in_memory(ROWS, 3, order)) == order.permutation(10, 0).tolist()


@kinds
def test_x_and_y_stay_together(kind):
    for x, y in make(kind, Order(seed=0)).as_numpy_iterator():
        np.testing.assert_array_equal(x[:, 0], y)


@kinds
def test_rebatch_keeps_rows_and_order(kind):
    order = Order(seed=0)
    dataset = make(kind, order)
    first = rows_of(dataset)
    order.counter = 0
    assert rows_of(dataset.rebatch(5)) == first


@kinds
def test_a_fresh_iterator_moves_the_counter_when_it_is_read(kind):
    order = Order(seed=0)
    iterator = iter(make(kind, order))
    assert order.counter == 0
    next(iterator)
    assert order.counter == 1


@kinds
def test_images_leave_in_zero_to_one(kind):
    images = np.array([[0], [51], [255]], "uint8")
    if kind == "in_memory":
        dataset = in_memory(Arrays(images, images[:, 0], 1 / 255), 3)
    else:
        examples = tf.data.Dataset.from_tensor_slices((images, images[:, 0]))
        dataset = streamed(examples, 3, 3, scale=1 / 255)
    ((x, _),) = dataset.as_numpy_iterator()
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0], [0, 0.2, 1], rtol=1e-7)
    assert x.max() == 1.0


class EpochOrder(keras.callbacks.Callback):
    def __init__(self, order):
        super().__init__()
        self.order = order

    def on_epoch_begin(self, epoch, logs=None):
        self.order.counter = epoch


@pytest.mark.heavy
@kinds
def test_training_that_is_resumed_equals_training_in_one_go(kind):
    def train(model, initial_epoch, epochs):
        order = Order(seed=7)
        model.fit(
            make(kind, order),
            initial_epoch=initial_epoch,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[EpochOrder(order)],
        )

    def make_model():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e-3), "mse")
        return model

    whole, resumed = make_model(), make_model()
    train(whole, 0, 4)
    train(resumed, 0, 2)
    train(resumed, 2, 4)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.tensorflow_only(reason="MirroredStrategy distributes TensorFlow alone")
def test_mirrored_strategy_sees_every_row():
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    order = Order(seed=0)
    distributed = strategy.experimental_distribute_dataset(in_memory(ROWS, 4, order))
    rows = np.concatenate([y.numpy() for _, y in distributed]).tolist()
    assert rows == order.permutation(10, 0).tolist()


def test_the_end_of_an_epoch_does_not_wait_for_autotuning():
    assert in_memory(ROWS, 4).options().autotune.enabled is False
