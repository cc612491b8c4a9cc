"""How well does a model of the zoo train on your dataset?

Without arguments, the script trains an MLP on 1,797 handwritten digits, which takes
seconds on a CPU. The learning rate warms up for one epoch and then decays along a
cosine. Training stops after ten epochs without improvement in the validation metric.
The script writes these files to `runs/digits/`:

- `model.keras`: the model of the best epoch;
- `history.csv`: one row per epoch;
- `curves.png`: a plot of loss, accuracy, update ratio and learning rate.

    python examples/train.py
    python examples/train.py --dataset mnist
    python examples/train.py --arrays mine.npz --units 256 256 --epochs 20
    python examples/train.py --model res_mlp --blocks 8
    python examples/train.py --dataset imdb_reviews --epochs 5
    python examples/train.py --dataset mnist --resume

With `--resume`, a killed training run continues when the same command is run again. To
start again, for example with other options, remove the folder `saves` in that folder.

The benchmarks page lists the accuracy and the running time over several seeds, which
`benchmarks/train.py` measures.
"""

import argparse
import sys
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import (
    ExampleParser,
    at_least,
    checked,
    exit_on_error,
    load_source,
    save_picture,
)

from callbacks import (
    EarlyStopping,
    ResumeTraining,
    ScheduleLearningRate,
    UpdateRatio,
)
from callbacks.schedules import Cosine
from zoo import lstm, mlp, res_mlp
from zoo.utils.devices import list_devices
from zoo.utils.files import replacing, writable_folder

# Default of --units for each builder.
UNITS = {"mlp": [512, 512], "res_mlp": [256], "lstm": [128]}
METRICS = {  # the metric that defines the best epoch
    "classification": "accuracy",
    "multi_label": "binary_accuracy",
    "regression": "rmse",
    "language_model": "accuracy",
}
WARMUP, PATIENCE = 1, 10  # epochs


def parse_arguments(arguments=None):
    parser = ExampleParser(__doc__)
    parser.add_data_source()
    parser.add_argument(
        "--model",
        choices=UNITS,
        help="builder of the model (default: lstm for texts, otherwise mlp)",
    )
    parser.add_argument(
        "--units",
        type=int,
        nargs="*",
        help="units of each layer, or the width of a res_mlp (default: 512 512 for an "
        "mlp, 256 for a res_mlp, 128 for an lstm)",
    )
    parser.add_argument("--blocks", type=int, default=4, help="blocks of a res_mlp")
    parser.add_argument("--dropout", type=float, default=0.2, help="dropout rate")
    parser.add_argument(
        "--epochs",
        type=at_least(1),
        default=30,
        help=f"maximum number of epochs; training stops after {PATIENCE} epochs "
        "without improvement in the validation metric",
    )
    parser.add_argument(
        "--learning-rate",
        type=checked(float, "> 0", lambda value: value > 0),
        default=1e-3,
        help="highest learning rate, after a warm-up; decays to 0 along a cosine",
    )
    parser.add_argument("--batch-size", type=int, default=128, help="examples per step")
    parser.add_argument(
        "--mixed-precision",
        choices=["float16", "bfloat16"],
        help="dtype of the computations (default: float32)",
    )
    parser.add_argument(
        "--xla",
        action=argparse.BooleanOptionalAction,
        help="whether to compile with XLA (default: Keras decides)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="save the training run every epoch, and resume it after a restart "
        "(remove the folder 'saves' to start again)",
    )
    return parser.parse_args(arguments)


def builder_options(data, options) -> tuple:
    """Returns the requested builder or one that suits the data, with its options."""
    name = options.model or ("mlp" if data.vocabulary is None else "lstm")
    units = UNITS[name] if options.units is None else options.units
    if name == "mlp":
        return mlp, {"units": units}
    if name == "res_mlp":
        if len(units) != 1:
            raise ValueError(
                f"A res_mlp has one width. Expected --units with one number. "
                f"Received: {units}"
            )
        return res_mlp, {"units": units[0], "num_blocks": options.blocks}
    returns = {"return_sequences": data.task == "language_model"}
    if data.vocabulary is not None:
        returns["vocabulary_size"] = len(data.vocabulary)
    return lstm, {"units": units, **returns}


def build_model(data, options):
    builder, own_options = builder_options(data, options)
    model = builder(
        data.input_shape,
        data.num_outputs,
        dropout=options.dropout,
        preprocessing=data.normalization() if data.vocabulary is None else None,
        postprocessing=data.denormalization() if data.task == "regression" else None,
        **own_options,
    )
    model.compile(
        keras.optimizers.Adam(options.learning_rate),
        data.loss,
        metrics=data.metrics,
        jit_compile="auto" if options.xla is None else options.xla,
    )
    return model


def plot_training(history, metric, best_epoch, ratio, title):
    """Plots loss and metric by epoch, and update ratio and learning rate by step."""
    figure, panels = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    for panel, name in zip(panels[0], ("loss", metric), strict=True):
        for prefix, label in (("", "train (with dropout)"), ("val_", "validation")):
            if prefix + name in history:
                panel.plot(history[prefix + name], marker=".", label=label)
        panel.axvline(best_epoch, color="gray", linestyle=":", label="best epoch")
        panel.set(xlabel="epoch", ylabel=name)
    if np.isfinite(history["loss"]).any():
        panels[0, 0].set_yscale("log")
    panels[0, 1].legend()

    ratio.plot(panels[1, 0])
    panels[1, 0].set_ylabel("update ratio: |update| / |weights|")
    panels[1, 0].legend(fontsize=8)
    record = ratio.ratio_info()
    panels[1, 1].plot(record["step"], record["learning_rate"], marker=".")
    panels[1, 1].set(xlabel="step", ylabel="learning rate")
    steps_per_epoch = ratio.params["steps"]
    for panel in panels[1]:
        panel.axvline(best_epoch * steps_per_epoch, color="gray", linestyle=":")
    for panel in panels.flat:
        panel.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def main(arguments=None):
    start = time.perf_counter()
    options = parse_arguments(arguments)
    keras.utils.set_random_seed(options.seed)
    if options.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{options.mixed_precision}")
    with exit_on_error():
        output = writable_folder(options.output)
        data = load_source(options, batch_size=options.batch_size)
        model = build_model(data, options)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}: {list_devices()}")
    print(data)
    print(f"{model.name}: {model.count_params():,} parameters")

    folder = writable_folder(output / data.name.replace("/", "-"))
    metric = METRICS[data.task]
    ratio = UpdateRatio(every=10)
    schedule = Cosine(options.epochs, warmup=min(WARMUP, options.epochs / 4))
    stopping = EarlyStopping(
        f"val_{metric}", patience=PATIENCE, restore_best_weights=True, verbose=1
    )
    callbacks = [ratio, ScheduleLearningRate(schedule), stopping]
    if options.resume:
        callbacks = [ResumeTraining(folder / "saves", callbacks=callbacks)]
    history = model.fit(
        data.train,
        validation_data=data.validation,
        epochs=options.epochs,
        shuffle=False,
        callbacks=callbacks,
    )
    if stopping.best_epoch is None:
        sys.exit(
            f"error: training diverged, no epoch has a finite validation {metric}. "
            f"Received: --learning-rate {options.learning_rate}; try a lower one."
        )
    history = pd.DataFrame(history.history)
    history.index = pd.RangeIndex(1, len(history) + 1, name="epoch")
    best_epoch = stopping.best_epoch + 1
    result = (
        f"{data.name}, best epoch {best_epoch}: validation {metric} {stopping.best:.4f}"
    )
    if data.test is not None:
        score = model.evaluate(data.test, verbose=0, return_dict=True)[metric]
        result += f", test {metric} {score:.4f}"
    update_ratio, rate = history.loc[best_epoch, ["update_ratio", "learning_rate"]]
    result += f"\nupdate ratio {update_ratio:.1e}, learning rate {rate:.1e}"

    with replacing(folder / "model.keras") as path:
        model.save(path)
    with replacing(folder / "history.csv") as path:
        history.to_csv(path)
    figure = plot_training(history, metric, best_epoch, ratio, result)
    save_picture(figure, folder / "curves.png")
    print(result)
    print(f"{time.perf_counter() - start:.0f} s; results in {folder}")


if __name__ == "__main__":
    main()
