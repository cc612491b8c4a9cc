"""Why are deep sigmoid networks hard to train?

Trains multilayer perceptrons of 30 units a layer, with 0 to 4 hidden layers: once with
sigmoid units, once with ReLU and He's initial weights. After every epoch it measures
the norm of the gradient of each layer, on one fixed batch, and writes one picture to
`runs/depth/depth.png`.

    python examples/depth.py

On MNIST (seed 0, 15 epochs) 0 to 4 layers of sigmoids end at a validation accuracy of
91.3, 96.3, 96.6, 96.0 and 95.7 %, of ReLU at 92.1, 96.3, 96.7, 96.8 and 96.3 %. The
first two of four sigmoid layers begin with gradients 250 times smaller than the head's,
and take two epochs to leave them; with ReLU all begin within a factor of six.
"""

import argparse
import os
import time
from pathlib import Path

import keras
import matplotlib
import numpy as np

from zoo import datasets, mlp
from zoo.differentiation import weight_gradients
from zoo.utils.files import replacing, writable_folder

matplotlib.use("Agg")
import matplotlib.pyplot as plt

UNITS, MAX_DEPTH = 30, 4
RATES = {"sigmoid": 0.5, "relu": 0.1}
LECTURES = (88, 96.5, 96.9, 96.5, 96.5)  # accuracy in % of 0 to 4 sigmoid layers


class GradientNorms(keras.callbacks.Callback):
    """Measures the gradient norm of each kernel, before training and every epoch.

    Args:
        batch: `(x, y)`, on which all of them are measured.

    Attributes:
        layers: Names of the layers, from the inputs to the outputs.
        norms: Array of shape `(epochs + 1, layers)`.
    """

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_begin(self, logs=None):
        self.layers = [layer.name for layer in self._with_kernels()]
        self.norms = np.empty((0, len(self.layers)))
        self.on_epoch_end(-1)

    def on_epoch_end(self, epoch, logs=None):
        weights = self.model.trainable_variables
        gradients = weight_gradients(self.model, *self.batch)
        by_weight = dict(
            zip((weight.path for weight in weights), gradients, strict=True)
        )
        norms = [
            float(keras.ops.norm(by_weight[layer.kernel.path]))
            for layer in self._with_kernels()
        ]
        self.norms = np.vstack([self.norms, norms])

    def _with_kernels(self):
        return [layer for layer in self.model.layers if hasattr(layer, "kernel")]


def parse_arguments(arguments=None):
    folder = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))
    is_prepared = (folder.expanduser() / "mnist").is_dir()
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    dataset = "mnist" if is_prepared else "digits"
    parser.add_argument("--dataset", default=dataset, help="images or a table")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="runs", help="folder of the results")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error(f"argument --epochs: expected >= 1, received {options.epochs}")
    return options


def train(data, activation, depth, options):
    """Returns the validation accuracy in % of one training, and its `GradientNorms`."""
    keras.utils.set_random_seed(options.seed)
    data.order.counter = 0
    model = mlp(
        data.input_shape,
        data.num_outputs,
        units=(UNITS,) * depth,
        activation=activation,
    )
    model.compile(
        keras.optimizers.SGD(RATES[activation]), data.loss, metrics=data.metrics
    )
    norms = GradientNorms(next(iter(data.validation)))
    start = time.perf_counter()
    history = model.fit(
        data.train,
        validation_data=data.validation,
        epochs=options.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[norms],
    )
    accuracy = 100 * history.history["val_accuracy"][-1]
    print(
        f"{activation}, {depth} hidden layers: validation accuracy {accuracy:.2f} %, "
        f"gradient norms at the start {_listed(norms.norms[0])}, at the end "
        f"{_listed(norms.norms[-1])}, {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    return accuracy, norms


def plot(accuracies, norms, data):
    """Draws accuracy by depth, and the gradients of the deepest networks."""
    figure, panels = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
    for activation, values in accuracies.items():
        panels[0].plot(values, marker="o", label=activation)
    if data.name == "mnist":
        panels[0].plot(LECTURES, "k:", marker="x", label="sigmoid, in the lectures")
    panels[0].set(
        title=f"{UNITS} units a layer",
        xlabel="hidden layers",
        xticks=range(MAX_DEPTH + 1),
        ylabel="validation accuracy in %",
    )
    panels[0].legend()
    limits = [np.inf, 0]
    for panel, (activation, measured) in zip(panels[1:], norms.items(), strict=True):
        colors = plt.cm.viridis(np.linspace(0, 0.9, len(measured.layers)))
        for layer, values, color in zip(
            measured.layers, measured.norms.T, colors, strict=True
        ):
            panel.plot(values, color=color, label=layer)
        panel.set(
            title=f"{activation}, {MAX_DEPTH} hidden layers",
            xlabel="epoch",
            ylabel="gradient norm of the kernel",
            yscale="log",
        )
        panel.legend(fontsize=8)
        low, high = measured.norms.min(), measured.norms.max()
        limits = [min(limits[0], low / 1.5), max(limits[1], high * 1.5)]
    for panel in panels:
        panel.grid(alpha=0.3)
    for panel in panels[1:]:
        panel.set_ylim(limits)
    figure.suptitle(f"What depth does to an MLP on {data.name}")
    return figure


def _listed(values) -> str:
    return ", ".join(f"{value:.2g}" for value in values)


def main(arguments=None):
    options = parse_arguments(arguments)
    folder = writable_folder(Path(options.output) / "depth")
    data = datasets.load(
        options.dataset, batch_size=options.batch_size, seed=options.seed
    )
    accuracies, norms = {}, {}
    for activation in RATES:
        runs = [
            train(data, activation, depth, options) for depth in range(MAX_DEPTH + 1)
        ]
        accuracies[activation] = [accuracy for accuracy, _ in runs]
        norms[activation] = runs[-1][1]
    figure = plot(accuracies, norms, data)
    with replacing(folder / "depth.png") as path:
        figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"picture in {folder}")


if __name__ == "__main__":
    main()
