"""Two devices, or two processes, compute the same results as one device."""

import os
import re
import socket
import subprocess
import sys

import keras
import pytest

pytestmark = pytest.mark.heavy
jax_only = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX has keras.distribution"
)

# What the tests share: data, and a check that two results are the same.
COMMON = """
import numpy as np
from zoo import datasets, mlp

def split(rows):
    x = np.random.default_rng(rows).random((rows, 6), dtype="float32")
    return x, (x.sum(axis=1) > 3).astype(int)

def compare(run, *arguments):
    one = run(*arguments)
    with scope():
        two = run(*arguments)
    for key in one:
        for a, b in zip(one[key], two[key], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, err_msg=key)
"""

# On TensorFlow, each device trains on the mean loss of its own examples, and Keras
# averages these means. So the last training batch must be shared evenly there.
DATA = """
from callbacks import EarlyStopping

def load(name):
    if name == "load":
        return datasets.load("digits", batch_size=250)
    # The last batches have 3 (on TensorFlow 4), 1 and 5 examples.
    rows = 36 if keras.backend.backend() == "tensorflow" else 35
    parts = {"train": split(rows), "validation": split(17), "test": split(13)}
    return datasets.from_arrays(**parts, batch_size=8)

def run(name):
    data = load(name)
    keras.utils.set_random_seed(0)
    normalization = data.normalization()
    model = mlp(data.input_shape, data.num_outputs, units=(8,),
                preprocessing=normalization)
    model.compile(keras.optimizers.SGD(0.5), data.loss, metrics=data.metrics)
    ordered = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(data.order, "counter", epoch)
    )
    stop = EarlyStopping("val_loss", mode="max", patience=1, restore_best_weights=True)
    history = model.fit(data.train, validation_data=data.validation, epochs=4,
                        shuffle=False, verbose=0, callbacks=[ordered, stop])
    assert 1 < len(history.epoch) < 4
    assert stop.best == max(history.history["val_loss"])
    return {
        "weights": model.get_weights(),
        "history": list(history.history.values()),
        "test": model.evaluate(data.test, verbose=0),
        "outputs": [model.predict(data.test, verbose=0)],
    }

compare(run, "from_arrays")
compare(run, "load")
"""


def test_data_with_uneven_batches(run_on_two_devices):
    run_on_two_devices(COMMON + DATA)


# TensorFlow reads an array without a copy if its address is a multiple of 64.
UNCHANGED = """
def aligned(shape):
    buffer = np.empty(4 * np.prod(shape) + 64, "uint8")
    start = -buffer.ctypes.data % 64
    return buffer[start : start + 4 * np.prod(shape)].view("float32").reshape(shape)

x = aligned((16, 6))
x[:], y = split(16)
before = x.copy()
data = datasets.from_arrays((x, y), test=(x, y), batch_size=8)
with scope():
    model = mlp((6,), 2, units=(8,), preprocessing=data.normalization())
    model.compile("sgd", data.loss, metrics=data.metrics)
    model.evaluate(data.test, verbose=0)
np.testing.assert_array_equal(x, before)
"""


def test_evaluation_does_not_change_the_data(run_on_two_devices):
    run_on_two_devices(COMMON + UNCHANGED)


TRAINING = """
from zoo.adversarial import FGSM, PGD, AdversarialTrainer

x, y = split(64)

def run(attack, objective):
    keras.utils.set_random_seed(0)
    # The replicas of TensorFlow would draw different random starts than one device.
    validation = PGD(0.1, steps=2, random_start=False)
    model = mlp((6,), 2, units=(8,))
    trainer = AdversarialTrainer(model, attack, objective, validation_attack=validation)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    fit = trainer.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0,
                      validation_data=split(37))
    return {
        "weights": trainer.model.get_weights(),
        "history": list(fit.history.values()),
        "test": trainer.evaluate(*split(13), batch_size=8, verbose=0),
    }

compare(run, FGSM(0.1), "standard")
trades = PGD(0.1, steps=2), "trades"
if keras.backend.backend() == "jax":
    compare(run, *trades)
else:
    with scope():
        assert all(np.isfinite(run(*trades)["weights"][0]).ravel())
"""


def test_adversarial_training(run_on_two_devices):
    run_on_two_devices(COMMON + TRAINING)


ATTACKS = """
from zoo.adversarial import PGD, evaluate_robustness

def run():
    keras.utils.set_random_seed(0)
    model = mlp((6,), 2, units=(8,))
    options = {"steps": 5, "restarts": 1, "batch_size": 10, "verbose": 0}
    report = evaluate_robustness(model, split(37), (0.05, 0.1), certify=True, **options)
    table = report.to_frame().drop(columns="seconds").select_dtypes("number")
    found = PGD(0.1, steps=5)(model, *split(37), batch_size=10)
    return {"report": [table.to_numpy()], "adversarial": [found]}

compare(run)
"""


@pytest.mark.slow
def test_attacks_and_certificates(run_on_two_devices):
    run_on_two_devices(COMMON + ATTACKS)


DIAGNOSIS = """
from callbacks import Diagnosis, diagnose

def findings(activation, rate):
    keras.utils.set_random_seed(0)
    data = datasets.from_arrays(train=split(203), batch_size=16)
    model = mlp((6,), 2, units=(16, 16))
    model.compile(keras.optimizers.SGD(rate), data.loss, metrics=data.metrics)
    before = diagnose(model, data.train)
    diagnosis = Diagnosis(verbose=0, every=1)
    model.fit(data.train, validation_data=data.validation, epochs=3, shuffle=False,
              verbose=0, callbacks=[diagnosis])
    return [
        [(one.cause, one.severity) for one in report.findings]
        for report in (before, diagnosis.report)
    ]

for rate in (0.1, 1e4):
    one = findings("relu", rate)
    with scope():
        two = findings("relu", rate)
    assert two[1] == one[1]
    if keras.backend.backend() == "jax":  # see the table in docs/devices.md
        assert two[0] == one[0]
assert one[1]  # the second training run diverges
"""


def test_diagnosis(run_on_two_devices):
    run_on_two_devices(COMMON + DIAGNOSIS)


RESUMING = """
import importlib.util, sys
from pathlib import Path
from callbacks import UpdateRatio

spec = importlib.util.spec_from_file_location("shared", sys.argv[1])
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
kind, folder = sys.argv[2], Path(sys.argv[3])

with scope():
    kept = [UpdateRatio(every=2)]
    expected = shared.train(kept=kept, kind=kind)
    shared.train(folder, [UpdateRatio(every=2)], stop=8, kind=kind)
    resumed = [UpdateRatio(every=2)]
    shared.assert_same(shared.train(folder, resumed, kind=kind), expected)
assert resumed[0].to_frame().equals(kept[0].to_frame())
"""


@pytest.mark.parametrize(
    "kind", ["zoo", pytest.param("pipeline", marks=pytest.mark.slow)]
)
def test_training_is_resumed(run_on_two_devices, kind, tmp_path, root):
    shared = root / "tests" / "callbacks" / "resuming" / "conftest.py"
    run_on_two_devices(RESUMING, shared, kind, tmp_path / "saves")


def block_of_page(root, begin):
    """Returns the Python block of the page about devices that begins with a text."""
    page = (root / "docs" / "devices.md").read_text()
    (block,) = re.findall(rf"^```python\n({begin}.*?)^```$", page, re.S | re.M)
    return block


@jax_only
def test_page(run_on_two_devices, root):
    run_on_two_devices(block_of_page(root, "# JAX\n"))


# Appended to the block: one device trains on batches with the same examples.
PROCESS_CHECK = """
parts = data.order.permutation(data.sizes["train"], data.order.counter - 1)
rows = (parts[:, None] * count + np.arange(count)).ravel()
keras.utils.set_random_seed(0)
alone = mlp(data.input_shape, data.num_outputs, units=(16,))
alone.compile("adam", data.loss, metrics=data.metrics)
history = alone.fit(x[rows], y[rows], batch_size=32 * count, shuffle=False, verbose=0)
np.testing.assert_allclose(model.history.history["loss"], history.history["loss"], 1e-5)
for a, b in zip(model.get_weights(), alone.get_weights(), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
print("works")
"""


@jax_only
@pytest.mark.slow
def test_two_processes_train_one_model(root, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    code = block_of_page(root, "# JAX, in each process\n")
    assert "localhost:8000" in code
    code = code.replace("localhost:8000", f"localhost:{port}") + PROCESS_CHECK
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(index), "2"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    for process in processes:
        try:
            output, error = process.communicate(timeout=200)
        finally:
            for each in processes:
                each.kill()
        assert output.endswith("works\n"), error[-3000:]
