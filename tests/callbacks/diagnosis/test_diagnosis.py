import pickle

import keras
import numpy as np
import pytest

from callbacks import Diagnosis

SPARSE = "sparse_categorical_crossentropy"


class Blind(Diagnosis):
    """A diagnosis that cannot see batches."""

    def sample(self):
        return None


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


def diagnosed(model, x, y, *, epochs=8, kind=Diagnosis, **options):
    diagnosis = kind(verbose=0, every=10)
    options = {"batch_size": 16, "verbose": 0} | options
    model.fit(x, y, epochs=epochs, callbacks=[diagnosis], **options)
    return diagnosis.report


def causes(report):
    assert not any("Error" in one for one in report.not_seen)
    return [one.cause for one in report.findings if one.severity != "hint"]


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [
        ("adam", Diagnosis),
        ("adam", Blind),
        pytest.param("momentum", Diagnosis, marks=pytest.mark.heavy),
        pytest.param("cosine", Diagnosis, marks=pytest.mark.heavy),
    ],
)
def test_healthy_runs_have_no_finding(data, optimizer, kind):
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 256)
    optimizers = {
        "momentum": keras.optimizers.SGD(0.05, momentum=0.9),
        "cosine": keras.optimizers.Adam(schedule),
    }
    optimizer = optimizers.get(optimizer, optimizer)
    report = diagnosed(build(optimizer=optimizer), *data, kind=kind)
    assert causes(report) == []
    assert report.verdict.startswith("healthy")
    assert ("the data" in report.not_seen) is (kind is Blind)


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
def test_a_linear_stack_on_linear_data_is_healthy(data):
    assert causes(diagnosed(build(activation=None), *data)) == []


@pytest.mark.heavy
def test_shuffled_labels_are_found(data):
    x, y = data
    y = np.random.default_rng(1).permutation(y)
    model = build(optimizer=keras.optimizers.Adam(0.01))
    report = diagnosed(model, x, y, epochs=15, validation_split=0.3)
    assert causes(report)[:1] == ["labels_independent_of_inputs"], report


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


def test_training_is_unchanged(data):
    def trained(callbacks):
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
        options = {"epochs": 3, "verbose": 0, "validation_split": 0.2}
        history = model.fit(*data, callbacks=callbacks, **options).history
        return history, [np.array(one) for one in model.variables]

    plain, weights = trained([])
    seen, same = trained([Diagnosis(every=5, verbose=0)])
    assert seen == plain
    for a, b in zip(weights, same, strict=True):
        np.testing.assert_array_equal(a, b)


def test_labels_that_are_sorted_are_found(data):
    x, y = data
    order = np.argsort(y, kind="stable")
    model = build(optimizer=keras.optimizers.Adam(0.01))
    report = diagnosed(model, x[order], y[order], epochs=3, shuffle=False)
    assert causes(report)[:1] == ["data_bug"], report


def test_a_report_before_fit_says_so():
    assert "nothing was looked at" in str(Diagnosis().report)


def test_an_instance_can_be_used_again_and_pickled(data):
    diagnosis = Diagnosis(verbose=0, every=10)
    build(head=None).fit(*data, verbose=0, callbacks=[diagnosis])
    assert causes(diagnosis.report) == ["loss_head_mismatch"]
    build().fit(*data, epochs=12, verbose=0, callbacks=[diagnosis])
    assert causes(diagnosis.report) == []
    copy = pickle.loads(pickle.dumps(diagnosis))
    assert str(copy.report) == str(diagnosis.report)


def test_the_report_of_a_run_can_be_drawn(data, tmp_path):
    report = diagnosed(build(), *data, epochs=8, validation_split=0.2)
    report.to_html(tmp_path / "report.html")
    figure = report.plot()
    titles = [ax.get_title() for ax in figure.axes]
    assert "Loss" in titles
    assert "Update ratio" in titles
    assert "Sensitivity by depth" in titles


@pytest.mark.parametrize("arguments", [{"verbose": 2}, {"every": 0}])
def test_wrong_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Diagnosis(**arguments)
