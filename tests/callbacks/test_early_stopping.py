import copy
import gc
import inspect
import math
import tempfile

import keras
import numpy as np
import pytest

from callbacks import EarlyStopping

NAN = math.nan
INF = math.inf


class Play(keras.callbacks.Callback):
    """Logs given values, and sets the only weight to the epoch, counted from 1."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([np.full((1, 1), epoch + 1.0)])
        if self.values[epoch] is not None:
            logs["value"] = self.values[epoch]


@pytest.fixture(scope="module")
def scalar_model():
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False)], name="scalar"
    )
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    return model


@pytest.fixture
def play(scalar_model):
    """Plays values to a callback in a real `fit`; returns what is left of them."""

    def play(values, callback):
        history = scalar_model.fit(
            np.zeros((1, 1)),
            np.zeros((1, 1)),
            epochs=len(values),
            callbacks=[Play(values), callback],
            verbose=0,
        )
        return values[: len(history.epoch)], float(scalar_model.get_weights()[0][0, 0])

    return play


def small_model():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), loss="mse")
    return model


def examples():
    x = np.random.default_rng(0).standard_normal((32, 3)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


class Interrupt(keras.callbacks.Callback):
    """Ends training in the middle of an epoch, as Ctrl-C or a lost disk does."""

    def __init__(self, epoch, error):
        super().__init__()
        self.epoch, self.error = epoch, error

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 1:
            raise self.error


class Record(keras.callbacks.Callback):
    """Keeps the weights of every epoch, and logs given values."""

    def __init__(self, values):
        super().__init__()
        self.values, self.weights = values, []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())
        logs["value"] = self.values[epoch]


def assert_equal_weights(model, expected):
    for weight, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weight, value)


# What it shares with Keras


def test_arguments_and_defaults_of_keras_come_first():
    ours = list(inspect.signature(EarlyStopping).parameters.values())
    keras_own = inspect.signature(keras.callbacks.EarlyStopping).parameters.values()
    for own, theirs in zip(ours, keras_own, strict=False):
        assert (own.name, own.default) == (theirs.name, theirs.default)
    for new in ours[len(keras_own) :]:
        assert new.kind is inspect.Parameter.KEYWORD_ONLY
    assert isinstance(EarlyStopping(), keras.callbacks.EarlyStopping)


def play_by_hand(model, values, callback):
    """As `play`, in a fraction of the time: calls the hooks in the order of `fit`."""
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        model.set_weights([np.full((1, 1), epoch + 1.0)])
        callback.on_epoch_end(epoch, {"value": value})
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch, model.get_weights()[0][0, 0]


@pytest.mark.heavy
def test_on_finite_values_it_does_what_keras_does(scalar_model):
    random = np.random.default_rng(0)
    stopped = 0
    for _ in range(200):
        values = (random.integers(-16, 16, size=8) / 8).tolist()  # ties are exact
        arguments = {
            "monitor": "value",
            "mode": str(random.choice(["min", "max"])),
            "min_delta": float(random.choice([0, 0.125, 0.5])),
            "patience": int(random.integers(8)),
            "baseline": random.choice([None, 0.0, -1.0]),
            "restore_best_weights": bool(random.integers(2)),
            "start_from_epoch": int(random.integers(3)),
        }
        theirs = keras.callbacks.EarlyStopping(**arguments)
        ours = EarlyStopping(**arguments)
        expected = play_by_hand(scalar_model, values, theirs)
        assert play_by_hand(scalar_model, values, ours) == expected, (values, arguments)
        assert ours.best == theirs.best
        assert ours.best_epoch == theirs.best_epoch
        assert ours.wait == theirs.wait
        assert ours.stopped_epoch == theirs.stopped_epoch
        assert (ours.reason is None) == (theirs.stopped_epoch == 0)
        stopped += ours.reason is not None
    assert 50 < stopped < 150  # the draw has both


@pytest.mark.parametrize(
    ("monitor", "best"), [("loss", 2), ("accuracy", 0), ("robust_accuracy", 0)]
)
def test_auto_knows_the_direction(monitor, best):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), loss="mse", metrics=["accuracy"])

    class Fall(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs[monitor] = 3.0 - epoch

    stopping = EarlyStopping(monitor, patience=5)
    x = np.zeros((1, 1))
    model.fit(x, x, epochs=3, callbacks=[Fall(), stopping], verbose=0)
    assert stopping.best_epoch == best


# Values that are not finite


def test_a_first_nan_does_not_stay_the_best(play):
    """Keras compares with NaN for good, stops, and restores the epoch of the NaN."""
    values = [NAN, 1.0, 0.5, 0.2]
    arguments = {"mode": "min", "patience": 3, "restore_best_weights": True}

    theirs = keras.callbacks.EarlyStopping("value", **arguments)
    assert play(values, theirs)[1] == 1.0  # the weights of the first epoch
    assert theirs.stopped_epoch == 3
    assert theirs.best_epoch == 0
    assert math.isnan(theirs.best)

    ours = EarlyStopping("value", **arguments)
    assert play([*values, 0.3], ours) == ([*values, 0.3], 4.0)  # it trained on
    assert ours.reason is None
    assert ours.best == 0.2
    assert ours.best_epoch == 3


@pytest.mark.parametrize(("mode", "value"), [("min", -INF), ("max", INF), ("min", NAN)])
def test_a_value_that_is_not_finite_is_an_epoch_without_improvement(play, mode, value):
    stopping = EarlyStopping("value", mode=mode, patience=2, restore_best_weights=True)
    assert play([1.0, value, value, 1.0], stopping) == ([1.0, value, value], 1.0)
    assert stopping.best == 1.0
    assert stopping.reason == "value has not improved on 1 (epoch 1) for 2 epochs"


def test_where_no_value_is_finite_nothing_is_best(play):
    stopping = EarlyStopping("value", mode="min", patience=2, restore_best_weights=True)
    assert play([NAN, INF, NAN], stopping) == ([NAN, INF], 2.0)
    assert stopping.best is None
    assert stopping.best_epoch is None
    assert stopping.reason == "value has not been finite for 2 epochs"
    with pytest.raises(ValueError, match="no best weights.*best_epoch=None"):
        stopping.restore_best()


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_check_finite_stops_at_once(play, value):
    stopping = EarlyStopping(
        "value", mode="min", patience=9, check_finite=True, restore_best_weights=True
    )
    assert play([3.0, 2.0, value, 1.0], stopping) == ([3.0, 2.0, value], 2.0)
    assert stopping.best_epoch == 1
    assert stopping.reason == f"value = {value} is not finite"


def test_check_finite_stops_even_after_the_first_epoch(play):
    stopping = EarlyStopping("value", mode="min", patience=9, check_finite=True)
    assert play([NAN, 1.0], stopping)[0] == [NAN]
    assert stopping.reason is not None


# How much is an improvement, and thresholds


@pytest.mark.parametrize(
    ("mode", "values", "best_epoch"),
    [
        ("min", [200.0, 198.5, 197.5, 196.0], 2),  # 1%: below 198, then below 195.525
        ("max", [200.0, 201.5, 202.5, 204.0], 2),
        ("min", [-200.0, -201.5, -202.5, -204.0], 2),  # a fraction of the magnitude
        ("max", [-200.0, -198.5, -197.5, -196.0], 2),
    ],
)
def test_a_relative_min_delta_is_a_fraction_of_the_best(play, mode, values, best_epoch):
    stopping = EarlyStopping(
        "value", 0.01, mode=mode, patience=9, min_delta_mode="relative"
    )
    play(values, stopping)
    assert stopping.best_epoch == best_epoch


@pytest.mark.parametrize(
    ("mode", "values", "trained"),
    [
        ("min", [0.5, 0.2, 0.1], 2),  # reaches it exactly
        ("min", [0.5, 0.1, 0.05], 2),
        ("min", [0.1, 0.05, 0.02], 1),  # after the first epoch
        ("max", [0.1, 0.2, 0.3], 2),
        ("max", [0.1, 0.19, 0.15], 3),
        ("min", [0.5, -INF, 0.3], 3),
        ("min", [0.5, NAN, 0.3], 3),
    ],
)
def test_stopping_threshold(play, mode, values, trained):
    stopping = EarlyStopping("value", mode=mode, patience=9, stopping_threshold=0.2)
    assert play(values, stopping)[0] == values[:trained]
    if trained < 3:
        reached = f"value = {values[trained - 1]:g} has reached the stopping threshold"
        assert stopping.reason == f"{reached} 0.2"
        assert stopping.stopped_epoch == trained - 1


@pytest.mark.parametrize(
    ("mode", "values", "trained"),
    [
        ("min", [2.0, 9.0, 1.0], 2),
        ("min", [2.0, INF, 1.0], 2),
        ("min", [2.0, 5.0, 1.0], 3),  # at the threshold is not beyond it
        ("max", [8.0, 1.0, 9.0], 2),
        ("max", [8.0, -INF, 9.0], 2),
        ("min", [2.0, NAN, 1.0], 3),
    ],
)
def test_divergence_threshold(play, mode, values, trained):
    stopping = EarlyStopping("value", mode=mode, patience=9, divergence_threshold=5.0)
    assert play(values, stopping)[0] == values[:trained]
    if trained < 3:
        worse = f"value = {values[1]:g} is worse than the divergence threshold 5"
        assert stopping.reason == worse


def test_nothing_is_monitored_before_start_from_epoch(play):
    stopping = EarlyStopping(
        "value", mode="min", start_from_epoch=2, patience=9, check_finite=True
    )
    values = [NAN, 0.1, 3.0, 2.0]
    assert play(values, stopping)[0] == values
    assert stopping.best_epoch == 3


# Best weights


def test_they_are_restored_at_the_last_epoch_too(play):
    stopping = EarlyStopping("value", mode="min", patience=9, restore_best_weights=True)
    assert play([3.0, 1.0, 2.0], stopping) == ([3.0, 1.0, 2.0], 2.0)
    assert stopping.reason is None
    assert stopping.stopped_epoch == 0


@pytest.mark.heavy
@pytest.mark.parametrize("error", [RuntimeError(), KeyboardInterrupt()])
def test_after_an_exception_they_are_on_disk_and_can_be_restored(error):
    model, record = small_model(), Record([3.0, 1.0, 2.0, 4.0])
    stopping = EarlyStopping("value", mode="min", patience=9, restore_best_weights=True)
    with pytest.raises(type(error)):
        model.fit(
            *examples(),
            batch_size=8,
            epochs=4,
            callbacks=[record, stopping, Interrupt(3, error)],
            verbose=0,
        )
    assert stopping.best_weights is None  # where Keras holds them in memory
    optimizer = [np.asarray(variable) for variable in model.optimizer.variables]
    stopping.restore_best()
    assert_equal_weights(model, record.weights[1])
    for variable, before in zip(model.optimizer.variables, optimizer, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), before)
    model.fit(*examples(), epochs=1, verbose=0)  # trains on


@pytest.mark.heavy
def test_a_filepath_keeps_them_for_another_model(tmp_path):
    path = tmp_path / "new" / "best.weights.h5"
    model, record = small_model(), Record([3.0, 1.0, 2.0])
    stopping = EarlyStopping("value", mode="min", patience=9, filepath=path)
    model.fit(*examples(), epochs=3, callbacks=[record, stopping], verbose=0)
    assert_equal_weights(model, record.weights[2])  # nothing was restored
    stopping.restore_best()
    assert_equal_weights(model, record.weights[1])
    del stopping
    gc.collect()
    other = small_model()
    other.fit(*examples(), verbose=0)
    other.load_weights(path)
    assert_equal_weights(other, record.weights[1])
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_last_best_weights(tmp_path, monkeypatch):
    path = tmp_path / "best.weights.h5"
    model, record = small_model(), Record([3.0, 2.0, 1.0])
    write, written = model.save_weights, []

    def write_twice(filepath):
        if len(written) == 2:
            filepath.write_bytes(b"half")
            raise OSError("disk full")
        written.append(write(filepath))

    monkeypatch.setattr(model, "save_weights", write_twice)
    stopping = EarlyStopping("value", mode="min", patience=9, filepath=path)
    with pytest.raises(OSError, match="disk full"):
        model.fit(*examples(), epochs=3, callbacks=[record, stopping], verbose=0)
    assert stopping.best_epoch == 1
    stopping.restore_best()
    assert_equal_weights(model, record.weights[1])
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_folder_goes_with_the_callback(play, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stopping = EarlyStopping("value", mode="min", patience=9, restore_best_weights=True)
    assert not list(tmp_path.iterdir())  # not before `fit`
    play([1.0, 2.0], stopping)
    first = list(tmp_path.iterdir())
    play([2.0, 1.0], stopping)
    second = list(tmp_path.iterdir())
    assert len(first) == len(second) == 1
    assert first != second
    stopping.restore_best()
    del stopping
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_without_a_place_nothing_is_written(play, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stopping = EarlyStopping("value", mode="min", patience=9)
    assert play([1.0, 2.0], stopping)[1] == 2.0
    assert stopping.best_epoch == 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="no best weights.*Expected `restore_best_wei"):
        stopping.restore_best()


def test_a_copy_has_a_place_of_its_own(play, scalar_model):
    """KerasTuner copies its callbacks for every trial."""
    stopping = EarlyStopping("value", mode="min", patience=9, restore_best_weights=True)
    play([1.0, 2.0, 3.0], stopping)
    other = copy.deepcopy(stopping)
    assert play([3.0, 1.0, 2.0], other)[1] == 2.0
    stopping.restore_best()
    assert scalar_model.get_weights()[0][0, 0] == 1.0


def test_an_instance_can_be_reused(play):
    stopping = EarlyStopping("value", mode="min", patience=1, restore_best_weights=True)
    assert play([1.0, 2.0, 3.0], stopping) == ([1.0, 2.0], 1.0)
    assert play([9.0, 8.0], stopping) == ([9.0, 8.0], 2.0)
    assert stopping.reason is None
    assert stopping.best_epoch == 1


def adapted_model(*, quantized=False):
    dense = keras.layers.Dense(4, "tanh", name="adapted")
    model = keras.Sequential([keras.Input((3,)), dense, keras.layers.Dense(1)])
    if quantized:
        dense.quantize("int8")
    dense.enable_lora(2)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


class RecordAll(Record):
    """Keeps seeds, too."""

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(variables_of(self.model))
        logs["value"] = self.values[epoch]


def variables_of(model):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]


@pytest.mark.parametrize(
    "build", [adapted_model, lambda: adapted_model(quantized=True), small_model]
)
def test_all_variables_are_restored_bit_for_bit(build):
    model, record = build(), RecordAll([3.0, 1.0, 2.0])
    stopping = EarlyStopping("value", mode="min", patience=9, restore_best_weights=True)
    model.fit(*examples(), epochs=3, callbacks=[record, stopping], verbose=0)
    for value, expected in zip(variables_of(model), record.weights[1], strict=True):
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(value, expected)


def test_adapters_in_a_file_are_restored_and_loaded_as_the_same_function(tmp_path):
    path = tmp_path / "best.weights.h5"
    model, record = adapted_model(), RecordAll([3.0, 1.0, 2.0])
    stopping = EarlyStopping("value", mode="min", patience=9, filepath=path)
    model.fit(*examples(), epochs=3, callbacks=[record, stopping], verbose=0)
    stopping.restore_best()
    for value, expected in zip(variables_of(model), record.weights[1], strict=True):
        np.testing.assert_array_equal(value, expected)
    other = adapted_model()
    other.load_weights(path)
    x = examples()[0]
    np.testing.assert_allclose(
        other.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5
    )


def test_a_file_that_would_hold_another_model_is_refused(tmp_path):
    stopping = EarlyStopping("loss", filepath=tmp_path / "best.weights.h5")
    with pytest.raises(ValueError, match="no LoRA adapter on a quantized.*adapted"):
        adapted_model(quantized=True).fit(*examples(), verbose=0, callbacks=[stopping])


# After a restart


class Begin(keras.callbacks.Callback):
    """Begins with the weight that the epochs before would have left."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([np.full((1, 1), epoch + 1.0)])
        logs["value"] = self.values[epoch]


def play_from(model, values, stopping, initial_epoch=0, epochs=None):
    x = np.zeros((1, 1))
    return model.fit(
        *(x, x), epochs=epochs or len(values), initial_epoch=initial_epoch, verbose=0,
        callbacks=[Begin(values), stopping],
    ).epoch  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("mode", "values"),
    [("min", [5.0, 1.0, 3.0, 4.0, 0.5, 2.0]), ("max", [0.0, 4.0, 2.0, 1.0, 5.0, 3.0])],
)
@pytest.mark.parametrize("killed_at", [1, 2, 3, 5])
@pytest.mark.parametrize("patience", [2, 3, 9])
def test_after_a_restart_all_is_as_in_one_go(
    scalar_model, tmp_path, mode, values, killed_at, patience
):
    def make(name):
        return EarlyStopping(
            "value", mode=mode, patience=patience, restore_best_weights=True,
            filepath=tmp_path / f"{name}.weights.h5",
        )  # fmt: skip

    def result(stopping):
        facts = stopping.best, stopping.best_epoch, stopping.wait, stopping.reason
        weight = float(scalar_model.get_weights()[0][0, 0])
        scalar_model.load_weights(stopping.filepath)
        return *facts, weight, float(scalar_model.get_weights()[0][0, 0])

    whole = make("whole")
    play_from(scalar_model, values, whole)
    expected = result(whole)
    first = make("resumed")
    epochs = play_from(scalar_model, values, first, epochs=killed_at)
    if first.reason is None:
        first = make("resumed")
        play_from(scalar_model, values, first, initial_epoch=len(epochs))
    assert result(first) == expected


def test_a_new_training_does_not_replace_a_better_file(scalar_model, tmp_path):
    path = tmp_path / "best.weights.h5"
    arguments = {"mode": "min", "patience": 9, "restore_best_weights": True}
    play_from(
        scalar_model,
        [5.0, 1.0, 3.0],
        EarlyStopping("value", **arguments, filepath=path),
    )
    worse = EarlyStopping("value", **arguments, filepath=path)
    with pytest.warns(UserWarning, match="still has the weights of an earlier.*= 1;"):
        play_from(scalar_model, [4.0, 3.0, 2.0], worse)
    assert (worse.best, worse.best_epoch) == (2.0, 2)
    assert scalar_model.get_weights()[0][0, 0] == 3.0  # its own best
    scalar_model.load_weights(path)
    assert scalar_model.get_weights()[0][0, 0] == 2.0  # the better one's
    play_from(scalar_model, [0.5], EarlyStopping("value", **arguments, filepath=path))
    scalar_model.load_weights(path)
    assert scalar_model.get_weights()[0][0, 0] == 1.0


@pytest.mark.parametrize("what", ["damaged", "of Keras", "of another monitor"])
def test_a_file_that_says_nothing_is_replaced(scalar_model, tmp_path, what):
    path = tmp_path / "best.weights.h5"
    if what == "damaged":
        path.write_bytes(b"half a file")
    elif what == "of Keras":
        scalar_model.save_weights(path)
    else:
        other = EarlyStopping("loss", mode="max", filepath=path)
        play_from(scalar_model, [1.0], other)
    stopping = EarlyStopping("value", mode="min", filepath=path, patience=9)
    play_from(scalar_model, [9.0, 3.0, 2.0, 8.0], stopping, initial_epoch=1)
    assert stopping.best_epoch == 2
    scalar_model.load_weights(path)
    assert scalar_model.get_weights()[0][0, 0] == 3.0


# What it says


def test_it_prints_one_sentence_that_says_why(play, capsys):
    stopping = EarlyStopping(
        "value", mode="min", patience=2, verbose=1, restore_best_weights=True
    )
    play([3.0, 1.0, 2.0, 1.5, 0.0], stopping)
    assert stopping.reason == "value has not improved on 1 (epoch 2) for 2 epochs"
    assert capsys.readouterr().out == (
        f"Epoch 4: early stopping, since {stopping.reason}.\n"
        "Restored the weights of the best epoch: 2.\n"
    )


def test_it_names_the_baseline_that_was_not_passed(play):
    stopping = EarlyStopping("value", mode="min", patience=2, baseline=0.5)
    play([3.0, 2.0, 2.0, 0.0], stopping)
    assert stopping.reason == "value has not improved on the baseline 0.5 for 3 epochs"


def test_it_is_silent_unless_asked(play, capsys):
    play([1.0, 2.0], EarlyStopping("value", mode="min", restore_best_weights=True))
    assert capsys.readouterr().out == ""


# Bad input


def test_an_unknown_metric_is_an_error_that_lists_those_there_are(play):
    with pytest.raises(ValueError, match="argument `monitor`.*: 'loss', 'value'. Rec"):
        play([1.0], EarlyStopping("valeu", mode="min"))


def test_a_metric_of_validation_without_validation_data(play):
    with pytest.raises(ValueError, match="Pass `validation_data` to `fit`;"):
        play([1.0], EarlyStopping())


def test_validation_in_every_second_epoch_alone():
    model, x = small_model(), examples()[0]
    stopping = EarlyStopping(start_from_epoch=1, patience=9)
    history = model.fit(
        *examples(),
        validation_data=(x, x[:, :1]),
        validation_freq=2,
        epochs=4,
        callbacks=[stopping],
        verbose=0,
    )
    assert stopping.best == min(history.history["val_loss"])
    assert stopping.best_epoch in (1, 3)


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("monitor", None, "the name of a metric"),
        ("min_delta", NAN, "a finite number"),
        ("min_delta", "0.1", "a finite number"),
        ("patience", -1, "an integer >= 0"),
        ("patience", 2.5, "an integer >= 0"),
        ("verbose", 2, "one of 0, 1"),
        ("mode", "minimum", "one of 'auto', 'min', 'max'"),
        ("baseline", INF, "a finite number or None"),
        ("start_from_epoch", -1, "an integer >= 0"),
        ("min_delta_mode", "percent", "one of 'absolute', 'relative'"),
        ("stopping_threshold", NAN, "a finite number or None"),
        ("divergence_threshold", "10", "a finite number or None"),
        ("filepath", "best.keras", "a path that ends in '.weights.h5'"),
    ],
)
def test_bad_arguments(argument, value, expected):
    message = f"Invalid value for argument `{argument}`. Expected {expected}. Received:"
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**{argument: value})
