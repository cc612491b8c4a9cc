"""Shared code of the examples: command line, errors, data, gradient norms and plots.

The examples are scripts. They can import this module because it is in the same folder.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from zoo import datasets
from zoo.differentiation import weight_gradients
from zoo.utils.files import replacing

if "ipykernel" not in sys.modules:  # a notebook shows its pictures
    matplotlib.use("Agg")  # pictures are drawn to files, without a display


class ExampleParser(argparse.ArgumentParser):
    """Parses the command line of an example.

    Every example has the options `--seed` and `--output`. The help of an option ends
    with its default, unless the default is `None`.

    Args:
        docstring: Docstring of the example. Its first paragraph becomes the description
            in the help.
    """

    def __init__(self, docstring):
        super().__init__(description=docstring.split("\n\n")[0])
        seed = checked(int, f"0 to {2**32 - 1}", lambda value: 0 <= value < 2**32)
        self.add_argument(
            "--seed", type=seed, default=0, help="seed of all random numbers"
        )
        self.add_argument("--output", default="runs", help="folder for the results")

    def add_argument(self, *flags, **settings):
        if settings.get("default") not in (None, argparse.SUPPRESS):
            settings["help"] += " (default: %(default)s)"
        return super().add_argument(*flags, **settings)

    def add_data_source(self):
        """Adds the mutually exclusive options `--dataset` and `--arrays`."""
        source = self.add_mutually_exclusive_group()
        source.add_argument(
            "--dataset", default="digits", help="a TFDS dataset (default: %(default)s)"
        )
        source.add_argument("--arrays", help="a .npz file with x_train, y_train, ...")

    def add_robust_training(self, *, reach, layers, **defaults):
        """Adds the options of examples that train robust networks and attack them.

        Args:
            reach: Largest distance of the evaluation, for the help, such as "twice".
            layers: The hidden layers, for the help.
            **defaults: Defaults of the options `epsilon`, `units`, `epochs`, `examples`
                and `steps`.
        """
        self.add_argument(
            "--epsilon",
            type=checked(float, "above 0, and at most 0.5", lambda v: 0 < v <= 0.5),
            default=defaults["epsilon"],
            help=f"linf distance in training; evaluation uses up to {reach} this "
            "distance",
        )
        for name, text in (
            ("units", f"units of {layers}"),
            ("epochs", "epochs for each network"),
            ("examples", "test examples to evaluate"),
            ("steps", "steps of the attacks"),
        ):
            self.add_argument(
                f"--{name}", type=at_least(1), default=defaults[name], help=text
            )


def checked(kind, expected, is_valid):
    """Returns a `type` for argparse that rejects invalid values.

    Args:
        kind: `int`, `float` or `str`.
        expected: Description of the valid values, for the error message.
        is_valid: Function that returns whether a value is valid.
    """

    def convert(text):
        value = kind(text)
        if not is_valid(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, received {text}")
        return value

    convert.__name__ = kind.__name__  # argparse prints this name if `kind` fails
    return convert


def at_least(minimum):
    """Returns a `type` for argparse that accepts integers >= `minimum`."""
    return checked(int, f">= {minimum}", lambda value: value >= minimum)


@contextlib.contextmanager
def exit_on_error():
    """Ends the script with a short message if an option turns out to be wrong."""
    try:
        yield
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error}")


def prepared_or_digits(name):
    """Returns the name of a dataset if TFDS has prepared it, otherwise "digits"."""
    folder = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))
    return name if (folder.expanduser() / name).is_dir() else "digits"


def load_source(options, *, test=None, **settings):
    """Loads the dataset of `--dataset`, or the arrays of `--arrays`.

    Args:
        options: Parsed options.
        test: Fraction of the examples to hold out for testing, if the arrays include
            no test data. Defaults to `None`.
        **settings: Further arguments that both loaders accept.
    """
    settings["seed"] = options.seed
    if options.arrays:
        name = Path(options.arrays).stem
        return datasets.from_arrays(options.arrays, name=name, test=test, **settings)
    return datasets.load(options.dataset, **settings)


def load_classes(options, *, only_images=False, **settings):
    """Loads the dataset of `--dataset`, which must be suitable for classification.

    Args:
        options: Parsed options.
        only_images: Whether to reject tables. Texts are always rejected. Defaults to
            `False`.
        **settings: Further arguments of `datasets.load`.

    Raises:
        ValueError: If the dataset is not suitable for the example.
    """
    data = datasets.load(options.dataset, seed=options.seed, **settings)
    is_text = data.vocabulary is not None
    is_table = len(data.input_shape) != 3
    if data.task != "classification" or is_text or (only_images and is_table):
        expected = "images in classes" if only_images else "images or rows in classes"
        raise ValueError(f"argument --dataset: expected {expected}, received {data!r}")
    return data


def first_test_examples(data, count):
    """Returns the first `count` test examples as arrays `(x, y)`."""
    batches = []
    for batch in data.test:
        batches.append([keras.ops.convert_to_numpy(part) for part in batch])
        if sum(len(y) for _, y in batches) >= count:
            break
    return tuple(np.concatenate(p)[:count] for p in zip(*batches, strict=True))


class GradientNorms(keras.callbacks.Callback):
    """Measures the gradient norm of each kernel, before training and after each epoch.

    Args:
        batch: Batch `(x, y)` on which the gradients are computed.

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


def save_picture(figure, path):
    """Writes a figure to a file; an existing file is replaced only on success."""
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)
    plt.close(figure)
