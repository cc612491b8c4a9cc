"""Measures what share of a training epoch the input pipeline takes.

    python benchmarks/input_pipeline.py

The dataset is MNIST, kept in memory. Each round measures one epoch of the pipeline
without training (`for batch in data.train`), and one epoch of `fit` with an MLP of the
default size, in the same process. Before the first round, both run once, so that
compilation is not measured. The measurement is repeated for the datasets of `load`
(tf.data) and of `from_arrays` (PyDataset), on the backend that `KERAS_BACKEND` selects.
"""

import statistics
import time

import keras
import numpy as np
from results import machine, save

from zoo import datasets, mlp

ROUNDS = 7


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(data) -> dict:
    model = mlp(
        data.input_shape,
        data.num_outputs,
        dropout=0.2,
        preprocessing=data.normalization(),
    )
    model.compile("adam", data.loss, metrics=data.metrics)

    def pipeline():
        for _ in data.train:
            pass

    def epoch():
        model.fit(data.train, shuffle=False, verbose=0)

    pipeline(), epoch()
    rounds = [
        {"pipeline": seconds(pipeline), "epoch": seconds(epoch)} for _ in range(ROUNDS)
    ]
    ratio = statistics.median(r["pipeline"] / r["epoch"] for r in rounds)
    print(f"{data}: pipeline takes {ratio:.3f} of an epoch (median of {ROUNDS})")
    return {"rounds": rounds, "ratio": ratio}


def main():
    keras.utils.set_random_seed(0)
    loaded = datasets.load("mnist")
    arrays = {}
    for part in ("train", "validation", "test"):
        batches = zip(*getattr(loaded, part).as_numpy_iterator(), strict=True)
        x, y = (np.concatenate(batch) for batch in batches)
        arrays[part] = (np.rint(x * 255).astype("uint8"), y)
    entry = {
        "machine": machine(),
        "load": measure(loaded),
        "from_arrays": measure(datasets.from_arrays(**arrays)),
    }
    save("input_pipeline", keras.backend.backend(), entry)


if __name__ == "__main__":
    main()
