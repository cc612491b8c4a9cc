"""The measurements of `gpu.py`, in the order of their worth.

Each task takes `Settings` and returns its results as plain numbers and texts.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import adversarial
import keras
import monitor_overhead
import numpy as np

from callbacks import ActivationHistograms, GradientHistograms, UpdateRatio
from zoo import datasets, lstm, mlp, res_mlp
from zoo.adversarial import evaluate_robustness
from zoo.utils.devices import list_devices

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
CUDNN_MARKS = ("cudnn", "miopen")  # in names of compiled kernels


@dataclass(frozen=True)
class Settings:
    """How much work the tasks do.

    Attributes:
        data: Folder with `mnist.npz`, or `None`: the digits of scikit-learn.
        is_tiny: Whether to do as little as possible, to see that everything runs.
    """

    data: Path | None
    is_tiny: bool

    def load(self, batch_size: int = 128):
        """Returns the dataset, with pixels in [0, 1]."""
        if self.data is None:
            return datasets.load("digits", batch_size=batch_size)
        with np.load(self.data / "mnist.npz") as file:
            arrays = {
                name: np.float32(values) / 255 if name[0] == "x" else np.int32(values)
                for name, values in file.items()
            }
        return datasets.from_arrays(
            (arrays["x_train"], arrays["y_train"]),
            test=(arrays["x_test"], arrays["y_test"]),
            batch_size=batch_size,
        )


def seen_devices(settings: Settings) -> dict:
    """Returns the devices that Keras uses."""
    return {"devices": list_devices()}


def builders(settings: Settings) -> dict:
    """Trains each builder in each precision. The second epoch has been compiled."""
    data = settings.load()
    makers: dict[str, Callable] = {
        "mlp": lambda: mlp(data.input_shape, data.num_outputs, units=(512, 512)),
        "res_mlp": lambda: res_mlp(data.input_shape, data.num_outputs),
        "lstm": lambda: lstm(data.input_shape, data.num_outputs, units=(128,)),
    }
    found = {}
    for policy in POLICIES[: 1 if settings.is_tiny else 3]:
        for name, make in makers.items():
            with _policy(policy):
                keras.utils.set_random_seed(0)
                model = make()
                model.compile("adam", data.loss, metrics=data.metrics)
                epochs = _epoch_times(model, data, 2 if settings.is_tiny else 4)
            _, accuracy = model.evaluate(data.test, verbose=0)
            found[f"{name}, {policy}"] = {
                "optimizer": type(model.optimizer).__name__,
                "seconds_an_epoch": min(epochs[1:]),
                "seconds_first_epoch": epochs[0],
                "test_accuracy": accuracy,
            }
    return found


def fused_lstm(settings: Settings) -> dict:
    """Looks for cuDNN in the compiled program, or in the kernels that were called."""
    model = lstm((32,), 2, vocabulary_size=100, units=(64,))
    x = np.random.default_rng(0).integers(1, 100, (64, 32)).astype("int32")
    kernels = _called_kernels(model, x)
    fused = [name for name in kernels if any(mark in name for mark in CUDNN_MARKS)]
    return {"uses_cudnn": bool(fused), "kernels": sorted(set(fused))[:10]}


def overhead(settings: Settings) -> dict:
    """Measures the cost of monitors of a small MLP, as on the CPU."""
    rounds, steps = (1, 20) if settings.is_tiny else (3, 469)
    kinds = ["all, defaults"] if settings.is_tiny else None
    turn = steps // 2 if settings.is_tiny else 50
    options = SimpleNamespace(
        rounds=rounds, steps=steps, epochs=1 + rounds // 2, turn=turn, kinds=kinds
    )
    measured = monitor_overhead.summarize(monitor_overhead.measure(options), steps)
    return {key: measured[key] for key in ("costs", "milliseconds_a_plain_step")}


def large_overhead(settings: Settings) -> dict:
    """Measures the cost of monitors of a model with 105 million parameters."""
    if settings.is_tiny:
        return {"skipped": "tiny"}
    options = SimpleNamespace(rounds=3, kinds=None)
    measured = monitor_overhead.summarize_large(monitor_overhead.measure_large(options))
    return {key: measured[key] for key in ("costs", "milliseconds_a_plain_step")}


def adversarial_step(settings: Settings) -> dict:
    """Measures the time of a training step with PGD-7 relative to a plain step."""
    size = SimpleNamespace(batches=4, rounds=2)
    return adversarial.step(
        size if settings.is_tiny else SimpleNamespace(batches=100, rounds=5)
    )


def evaluation(settings: Settings) -> dict:
    """Measures the time of a full evaluation, with all stages, on the test examples."""
    data = settings.load()
    model = mlp(data.input_shape, data.num_outputs, units=(1024,))
    model.compile("adam", data.loss, metrics=data.metrics)
    model.fit(data.train, epochs=1 if settings.is_tiny else 5, shuffle=False, verbose=0)
    x, y = (np.concatenate(parts) for parts in zip(*data.test, strict=True))
    size = 50 if settings.is_tiny else None
    start = time.perf_counter()
    report = evaluate_robustness(model, (x[:size], y[:size]), 0.05, verbose=0)
    return {
        "examples": len(x[:size]),
        "robust_accuracy": report.robust_accuracy[0.05],
        "seconds": time.perf_counter() - start,
    }


def bit_identical(settings: Settings) -> dict:
    """Checks that monitors do not change the trained weights."""
    data, weights = settings.load(), []
    sample = np.asarray(next(iter(data.test))[0])
    monitors = [
        UpdateRatio(every=1),
        GradientHistograms(every=2),
        ActivationHistograms(sample),
    ]
    for callbacks in ([], [], monitors):
        keras.utils.set_random_seed(0)
        data.order.counter = 0
        model = mlp(data.input_shape, data.num_outputs, units=(64,), dropout=0.2)
        model.compile("adam", data.loss)
        model.fit(data.train, shuffle=False, verbose=0, callbacks=callbacks)
        weights.append(model.get_weights())

    def same(a, b):
        return all(map(np.array_equal, a, b))

    return {
        "plain_runs_agree": same(weights[0], weights[1]),
        "monitors_change_nothing": same(weights[0], weights[2]),
    }


TASKS: tuple[Callable[[Settings], dict], ...] = (
    seen_devices,
    builders,
    fused_lstm,
    overhead,
    adversarial_step,
    evaluation,
    bit_identical,
    large_overhead,
)


def peak_memory() -> int | None:
    """Returns the largest number of bytes in use on the device since it was reset.

    JAX cannot reset this figure, so there it is that of all tasks so far.
    """
    if keras.backend.backend() == "torch":
        import torch

        if not torch.cuda.is_available():
            return None
        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return peak
    import jax

    statistics_of_device = jax.devices()[0].memory_stats() or {}
    return statistics_of_device.get("peak_bytes_in_use")


@contextlib.contextmanager
def _policy(name: str):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class _EpochTimes(keras.callbacks.Callback):
    """Records the seconds of each epoch."""

    def on_train_begin(self, logs=None):
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._start)


def _epoch_times(model, data, epochs: int) -> list[float]:
    times = _EpochTimes()
    model.fit(data.train, epochs=epochs, shuffle=False, verbose=0, callbacks=[times])
    return times.seconds


def _called_kernels(model, x) -> list[str]:
    """Returns the lowercase names of the kernels that a call to the model uses."""
    if keras.backend.backend() == "torch":
        import torch

        with torch.no_grad(), torch.profiler.profile() as profile:
            model(x)
        return [one.key.lower() for one in profile.key_averages()]
    import jax

    state = [one.value for one in model.trainable_variables]
    others = [one.value for one in model.non_trainable_variables]

    def call(state, others, x):
        return model.stateless_call(state, others, x)[0]

    compiled = jax.jit(call).lower(state, others, x).compile()
    return [word for word in compiled.as_text().lower().split('"') if " " not in word]
