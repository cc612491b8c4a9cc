import pickle
import random

import keras
import numpy as np
import pytest

from callbacks import Diagnosis
from callbacks.diagnosis import observed_run as module
from callbacks.diagnosis.data.data_facts import describe_data
from callbacks.monitors.step_monitor import StepMonitor

SPARSE = "sparse_categorical_crossentropy"
SEVERE = "error: ", "warning: "


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 8)).astype("float32")
    return x, (x @ rng.normal(size=(8, 4))).argmax(axis=1)


def build(activation="relu", head="softmax", depth=2, optimizer="adam", **dense):
    hidden = [
        keras.layers.Dense(32, activation, name=f"hidden_{i}", **dense)
        for i in range(depth)
    ]
    end = keras.layers.Dense(4, head, name="output")
    model = keras.Sequential([keras.Input((8,)), *hidden, end])
    model.compile(optimizer, SPARSE, metrics=["accuracy"])
    return model


def diagnosed(model, x, y=None, *, epochs=8, **options):
    diagnosis = Diagnosis(verbose=0, every=10)
    defaults = {"verbose": 0} if y is None else {"verbose": 0, "batch_size": 16}
    options = defaults | options
    model.fit(x, y, epochs=epochs, callbacks=[diagnosis], **options)
    return diagnosis.report


def causes(report):
    assert not any("Error" in one for one in report.not_seen)
    return [one.cause for one in report.findings if one.severity != "hint"]


@pytest.mark.parametrize(
    "optimizer",
    [
        "adam",
        pytest.param("momentum", marks=pytest.mark.heavy),
        pytest.param("cosine", marks=pytest.mark.heavy),
    ],
)
def test_healthy_runs_have_no_finding(data, optimizer):
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 256)
    optimizers = {
        "momentum": keras.optimizers.SGD(0.05, momentum=0.9),
        "cosine": keras.optimizers.Adam(schedule),
    }
    optimizer = optimizers.get(optimizer, optimizer)
    report = diagnosed(build(optimizer=optimizer), *data)
    assert causes(report) == []
    assert report.verdict.startswith("healthy")


@pytest.mark.heavy
def test_a_run_whose_data_cannot_be_seen_is_not_called_healthy(data, monkeypatch):
    monkeypatch.setattr(StepMonitor, "batch_sample", lambda self: None)
    report = diagnosed(build(), *data)
    assert causes(report) == []
    assert report.verdict.startswith("nothing found in the 4 layers")
    assert "the data" in report.not_seen


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"optimizer": keras.optimizers.SGD(100.0)}, "learning_rate_too_high"),
        ({"optimizer": keras.optimizers.Adam(1e-7)}, "learning_rate_too_low"),
        ({"kernel_initializer": "zeros"}, "bad_initialization"),
        ({"head": None}, "loss_head_mismatch"),
        ({"activation": "sigmoid", "depth": 9}, "vanishing_gradients"),
    ],
)
def test_faults_are_named_first(data, options, cause):
    optimizer = options.get("optimizer")
    if optimizer is not None:
        copy = type(optimizer).from_config(optimizer.get_config())
        options = options | {"optimizer": copy}
    report = diagnosed(build(**options), *data)
    assert causes(report)[:1] == [cause], report


@pytest.mark.heavy
def test_a_linear_stack_does_no_harm_on_linear_data(data):
    model = build(activation=None, optimizer=keras.optimizers.Adam(0.01))
    report = diagnosed(model, *data)
    assert causes(report) == []
    hints = [one.cause for one in report.findings]
    assert "linear_hidden_stack" in hints


@pytest.mark.heavy
def test_shuffled_labels_are_found(data):
    x, y = data
    y = np.random.default_rng(1).permutation(y)
    model = build(optimizer=keras.optimizers.Adam(0.01))
    report = diagnosed(model, x, y, epochs=15, validation_split=0.3)
    assert causes(report)[:1] == ["labels_independent_of_inputs"], report


@pytest.mark.heavy
def test_findings_are_printed_once(data, capsys):
    model = build(head=None)
    diagnosis = Diagnosis(every=10)
    model.fit(*data, epochs=3, verbose=0, callbacks=[diagnosis])
    printed = capsys.readouterr().out
    assert printed.count("error: loss_head_mismatch") == 1
    assert "keras.losses.SparseCategoricalCrossentropy(from_logits=True)" in printed
    model = build()
    model.fit(*data, epochs=12, verbose=0, callbacks=[Diagnosis(every=10)])
    assert capsys.readouterr().out == ""


class Spy(keras.callbacks.Callback):
    """Notes what was printed until the end of a batch."""

    def __init__(self, capsys):
        super().__init__()
        self.capsys = capsys
        self.printed = []

    def on_train_batch_end(self, batch, logs=None):
        self.printed.append(self.capsys.readouterr().out)


@pytest.mark.heavy
def test_findings_are_printed_with_the_first_sample(data, capsys):
    spy = Spy(capsys)
    diagnosis = Diagnosis()
    build(head=None).fit(*data, epochs=1, verbose=0, callbacks=[diagnosis, spy])
    assert spy.printed[0] == ""
    assert "error: loss_head_mismatch" in spy.printed[1]


@pytest.mark.heavy
def test_what_is_printed_is_what_is_reported(data, capsys, monkeypatch):
    measured = []

    def describe(*arguments, dependence=False, **options):
        measured.append(dependence)
        return describe_data(*arguments, dependence=dependence, **options)

    monkeypatch.setattr("callbacks.diagnosis.run.seen_data.describe_data", describe)
    x, y = data
    y = np.where(np.random.default_rng(1).random(512) < 0.4, y, (y + 1) % 4)
    model = build(kernel_regularizer="l2")
    diagnosis = Diagnosis(every=10)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[diagnosis])
    printed = capsys.readouterr().out
    report = diagnosis.report
    assert diagnosis.report is report
    assert sum(measured) == 1
    told = [line for line in printed.splitlines() if line.startswith(SEVERE)]
    known = [str(one).splitlines()[0] for one in report.findings]
    assert told == [line for line in known if line.startswith(SEVERE)]


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.heavy
def test_an_interrupted_run_is_over(data):
    diagnosis = Diagnosis(verbose=0, every=10)
    with pytest.raises(KeyboardInterrupt):
        build().fit(*data, epochs=9, verbose=0, callbacks=[diagnosis, Interrupt()])
    facts = diagnosis.report.facts
    assert facts.training.is_over
    assert facts.training.num_epochs == 2
    assert facts.end is not None
    assert facts.end.loss < facts.start.loss
    copy = pickle.loads(pickle.dumps(diagnosis))
    assert str(copy.report) == str(diagnosis.report)
    assert repr(copy) == f"Diagnosis: {diagnosis.report.verdict}"


class Glance(keras.callbacks.Callback):
    """Reads the report in the middle of a run."""

    def __init__(self, diagnosis):
        super().__init__()
        self.diagnosis = diagnosis
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.diagnosis.report)


@pytest.mark.tensorflow_only(reason="labels out of range are an error on the CPU")
def test_labels_that_break_the_first_step_are_found(data):
    x, y = data
    diagnosis = Diagnosis(verbose=0)
    with pytest.raises(Exception, match="outside the valid range"):
        build().fit(x, y + 1, verbose=0, callbacks=[diagnosis])
    assert causes(diagnosis.report) == ["labels_out_of_range"]


class Fail(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise RuntimeError("failed")


@pytest.mark.parametrize("head", ["softmax", None])
def test_a_run_that_fails_at_once_is_judged_by_its_model(data, head):
    diagnosis = Diagnosis(verbose=0)
    with pytest.raises(RuntimeError, match="failed"):
        build(head=head).fit(*data, verbose=0, callbacks=[diagnosis, Fail()])
    expected = ["loss_head_mismatch"] if head is None else []
    assert causes(diagnosis.report) == expected


@pytest.mark.heavy
def test_a_report_in_the_middle_of_a_run_is_not_the_last_one(data):
    diagnosis = Diagnosis(verbose=0, every=10)
    glance = Glance(diagnosis)
    build().fit(*data, epochs=2, verbose=0, callbacks=[diagnosis, glance])
    runs = [report.facts.training for report in (*glance.seen, diagnosis.report)]
    assert [run.is_over for run in runs] == [False, False, True]
    assert [run.num_epochs for run in runs] == [1, 2, 2]


@pytest.mark.heavy
def test_a_failing_look_is_reported_once(data, monkeypatch):
    calls = []

    def fail(*arguments, **options):
        calls.append(1)
        raise RuntimeError("a bug")

    monkeypatch.setattr(module, "read_model", fail)
    diagnosis = Diagnosis(verbose=0, every=10)
    build().fit(*data, epochs=4, verbose=0, callbacks=[diagnosis])
    assert len(calls) == 2  # before training, and with the first sample
    assert sum("a bug" in one for one in diagnosis.report.not_seen) == 2
    assert not diagnosis.report.findings


@pytest.mark.heavy
def test_training_is_unchanged(data):
    def trained(callbacks):
        keras.utils.clear_session()  # Keras 3.12 does not seed its global generator
        keras.utils.set_random_seed(1)
        layers = [
            keras.Input((8,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(4, "softmax"),
        ]
        model = keras.Sequential(layers)
        model.compile("adam", SPARSE, metrics=["accuracy"])
        options = {"epochs": 3, "verbose": 0, "validation_split": 0.2, "shuffle": True}
        history = model.fit(*data, callbacks=callbacks, **options).history
        variables = [*model.variables, *model.optimizer.variables]
        drawn = random.random(), np.random.rand(), np.array(keras.random.normal((3,)))
        return history, [*map(np.array, variables), *drawn]

    plain, state = trained([])
    seen, same = trained([Diagnosis(every=5, verbose=0)])
    assert seen == plain
    for a, b in zip(state, same, strict=True):
        np.testing.assert_array_equal(a, b)


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(32, "relu")
        self.dropout = keras.layers.Dropout(0.1)
        self.end = keras.layers.Dense(4, "softmax", name="end")

    def call(self, x, training=None):
        return self.end(self.dropout(self.hidden(x), training=training))


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 16

    def __getitem__(self, index):
        rows = slice(16 * index, 16 * index + 16)
        return self.x[rows], self.y[rows]


def pairs(x, y):
    return Batches(x, y)


def dataset(x, y):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


@pytest.mark.heavy
@pytest.mark.parametrize("form", [pairs, dataset])
def test_subclassed_models_and_datasets_are_read(data, form):
    model = Net()
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    report = diagnosed(model, form(*data), shuffle=False, epochs=8)
    assert causes(report) == []
    assert report.facts.data.examples > 16
    assert [one.activation for one in report.facts.model.heads] == ["softmax"]
    model = Net()
    model.compile("adam", "mse")
    labels = data[1][:, None] * 1.0
    report = diagnosed(model, form(data[0], labels), shuffle=False, epochs=1)
    assert causes(report) == ["loss_head_mismatch"]


@pytest.mark.heavy
def test_adapters_of_low_rank_are_no_obstacle(data):
    model = build()
    model.get_layer("hidden_0").enable_lora(2)
    model.compile("adam", SPARSE)
    report = diagnosed(model, *data, epochs=1)
    assert not any("Error" in one for one in report.not_seen)
    assert report.facts.model.graph is not None


@pytest.mark.heavy
def test_a_pickle_does_not_contain_the_data():
    x = np.random.default_rng(0).normal(size=(512, 1000)).astype("float32")
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    diagnosis = Diagnosis(verbose=0, every=1)
    model.fit(x, x[:, 0], batch_size=16, verbose=0, callbacks=[diagnosis])
    assert diagnosis.report.facts.data.examples > 256
    assert len(pickle.dumps(diagnosis)) < x.nbytes / 4


@pytest.mark.heavy
def test_labels_that_are_sorted_are_found(data):
    x, y = data
    order = np.argsort(y, kind="stable")
    model = build(optimizer=keras.optimizers.Adam(0.01))
    report = diagnosed(model, x[order], y[order], epochs=3, shuffle=False)
    assert causes(report)[:1] == ["data_bug"], report


def test_a_report_before_fit_says_so():
    assert "nothing was looked at" in str(Diagnosis().report)
    assert repr(Diagnosis()) == "Diagnosis: nothing looked at yet."


@pytest.mark.heavy
def test_an_instance_can_be_used_again_and_pickled(data):
    diagnosis = Diagnosis(verbose=0, every=10)
    build(head=None).fit(*data, verbose=0, callbacks=[diagnosis])
    assert causes(diagnosis.report) == ["loss_head_mismatch"]
    build().fit(*data, epochs=12, verbose=0, callbacks=[diagnosis])
    assert causes(diagnosis.report) == []
    copy = pickle.loads(pickle.dumps(diagnosis))
    assert str(copy.report) == str(diagnosis.report)
    assert repr(copy) == f"Diagnosis: {diagnosis.report.verdict}"


@pytest.mark.heavy
def test_the_report_of_a_run_can_be_drawn(data, tmp_path):
    report = diagnosed(build(), *data, epochs=8, validation_split=0.2)
    report.to_html(tmp_path / "report.html")
    figure = report.plot()
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert "Loss" in titles
    assert "Update ratio" in titles
    assert "Sensitivity by depth" in titles


@pytest.mark.parametrize("arguments", [{"verbose": 2}, {"every": 0}])
def test_wrong_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Diagnosis(**arguments)
