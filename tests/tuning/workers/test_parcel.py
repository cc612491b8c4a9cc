"""What is sent to workers, and errors for what cannot be sent."""

import threading

import keras
import numpy as np
import pytest

from tuning import MLPSpace, RandomSearch
from tuning.workers.parcel import packed, unpacked
from tuning.workers.sent_search import pack_search
from zoo import datasets


@pytest.fixture
def there_and_back(tmp_path):
    def send(value):
        (tmp_path / "parcel").write_bytes(packed(value))
        return unpacked(tmp_path / "parcel")

    return send


@pytest.mark.one_backend
def test_arrays_are_mapped_into_memory_and_can_be_modified(there_and_back, tmp_path):
    sent = {
        "large": np.arange(100_000.0).reshape(100, -1),
        "fixed": np.arange(3),
        "empty": np.zeros((0, 4)),
        "columns": np.arange(12).reshape(3, 4).T,
    }
    sent["fixed"].flags.writeable = False
    before = None
    for _ in range(2):
        arrays = there_and_back(sent)
        for name, array in sent.items():
            np.testing.assert_array_equal(arrays[name], array)
            assert arrays[name].ctypes.data % 64 == 0 or array.size == 0
        assert not arrays["large"].flags.owndata
        assert not arrays["fixed"].flags.writeable
        before = (tmp_path / "parcel").read_bytes()
        arrays["large"] += 1  # in memory only
        assert (tmp_path / "parcel").read_bytes() == before


@pytest.mark.one_backend
def test_data_from_arrays_keep_one_order(there_and_back):
    x, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 2
    data = datasets.from_arrays((x, y), seed=4, batch_size=30)
    again, train = there_and_back((data, data.train))
    assert train is again.train
    assert train.order is again.order
    assert again.order.seed == 4
    for one, other in zip(next(iter(again.train)), next(iter(data.train)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.one_backend
def test_loaded_data_are_sent_as_the_arguments_of_load(there_and_back):
    pytest.importorskip("tensorflow_datasets")
    data = datasets.load("digits", batch_size=64, validation=0.2, seed=5)
    sent = (MLPSpace(data), data.train, data.validation, data.order)
    assert len(packed(sent)) < 10_000
    space, train, validation, order = there_and_back(sent)
    assert space.data.train is train
    assert space.data.validation is validation
    assert space.data.order is order
    assert order.seed == 5
    for one, other in zip(validation.as_numpy_iterator(), data.validation, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)


@pytest.mark.one_backend
def test_a_space_is_sent_without_what_it_computed_from_the_data(there_and_back):
    x, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 2
    space = MLPSpace(datasets.from_arrays((x, y)))
    mean = space.data_layers()["preprocessing"].get_config()["mean"]
    again = there_and_back(space)
    assert "_adapted" not in vars(again)
    again_mean = again.data_layers()["preprocessing"].get_config()["mean"]
    np.testing.assert_array_equal(again_mean, mean)


def build(hp):
    hp.Float("x", 0.0, 1.0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


class Locked(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"callbacks": [keras.callbacks.Callback(), Locked()]}, r"`callbacks\[1\]`"),
        ({"x": threading.Lock()}, "`x`. Expected an object that can be pickled"),
        ({"y": (each for each in "ab")}, "`y`.*\nTypeError: cannot pickle"),
        ({"class_weight": threading.Lock()}, "`class_weight`"),
    ],
)
def test_what_cannot_be_pickled_is_named(arguments, message, tmp_path):
    search = RandomSearch(build, "loss", 2, seed=0, directory=tmp_path)
    with pytest.raises(ValueError, match=message):
        search.search(**arguments, workers=2, verbose=0)
    assert search.results().empty


@pytest.mark.one_backend
def test_a_hypermodel_that_cannot_be_pickled_is_named(tmp_path):
    lock = threading.Lock()

    def build_locked(hp):
        with lock:
            return build(hp)

    search = RandomSearch(build_locked, "loss", 2, seed=0, directory=tmp_path)
    with pytest.raises(ValueError, match="Invalid value for argument `hypermodel`"):
        pack_search(search, (), {}, None, 0)
    # Functions without a name can be sent.
    search = RandomSearch(lambda hp: build(hp), "loss", 2, directory=tmp_path / "b")
    assert pack_search(search, (), {}, None, 0)


@pytest.mark.one_backend
def test_for_a_tf_dataset_the_error_has_the_line_to_write(tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    dataset = tensorflow.data.Dataset.from_tensors((np.ones((4, 1)), np.ones((4, 1))))
    search = RandomSearch(build, "loss", 2, seed=0, directory=tmp_path)
    for arguments, line in (
        ({"x": dataset}, "call `search` with `make_dataset`"),
        (
            {"x": np.ones(3), "validation_data": dataset},
            "call `search` with `validation_data=make_dataset`",
        ),
    ):
        with pytest.raises(ValueError, match="cannot be sent to other processes") as e:
            search.search(**arguments, workers=2, verbose=0)
        assert line in str(e.value)

    def build_with_data(hp):
        dataset.take(1)
        return build(hp)

    search = RandomSearch(build_with_data, "loss", 2, directory=tmp_path / "b")
    with pytest.raises(ValueError, match="Make the dataset inside `build`"):
        pack_search(search, (), {}, None, 0)
