"""How easily is a classifier fooled, and what does adversarial training change?

Trains the same network twice, normally and on adversarial examples, and attacks both
in the stages of `evaluate_robustness`. Writes to `runs/robustness/`: the curves of
accuracy over epsilon (`curves.png`), for each network its panel of examples
(`normal.png`, `adversarial.png`) and its table (`normal.csv`, `adversarial.csv`).

    python examples/robustness.py
    python examples/robustness.py --dataset mnist --epochs 10

Without `--dataset` that is MNIST where TFDS has it prepared, else digits.
"""

import argparse
import os
import time
from pathlib import Path

import keras
import matplotlib
import numpy as np

from zoo import datasets, mlp
from zoo.adversarial import PGD, AdversarialTrainer, evaluate_robustness
from zoo.utils.files import replacing, writable_folder

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def default_dataset() -> str:
    folder = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    return "mnist" if (Path(folder).expanduser() / "mnist").is_dir() else "digits"


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--dataset", default=default_dataset(), help="of images")
    parser.add_argument("--epsilon", type=float, default=0.1, help="linf, in [0, 1]")
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--examples", type=int, default=500, help="that are attacked")
    parser.add_argument("--steps", type=int, default=50, help="of the attacks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="runs", help="folder of the results")
    options = parser.parse_args(arguments)
    for name in ("units", "epochs", "examples", "steps"):
        if getattr(options, name) < 1:
            parser.error(f"argument --{name}: expected >= 1")
    if not 0 < options.epsilon <= 0.5:
        parser.error("argument --epsilon: expected above 0, and at most 0.5")
    return options


def train(data, options, adversarial: bool) -> keras.Model:
    keras.utils.set_random_seed(options.seed)
    data.order.counter = 0
    model = mlp(data.input_shape, data.num_outputs, units=(options.units,))
    trained, monitor = model, "val_accuracy"
    if adversarial:
        trained = AdversarialTrainer(model, PGD(options.epsilon, steps=7))
        monitor = "val_robust_accuracy"
    trained.compile(keras.optimizers.Adam(2e-3), data.loss, metrics=data.metrics)
    start = time.perf_counter()
    best = keras.callbacks.EarlyStopping(
        monitor, mode="max", patience=options.epochs, restore_best_weights=True
    )
    history = trained.fit(
        data.train,
        validation_data=data.validation,
        epochs=options.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[best],
    ).history
    name = "adversarial" if adversarial else "normal"
    seconds = time.perf_counter() - start
    print(f"{name} training: {monitor} {max(history[monitor]):.4f} ({seconds:.0f} s)")
    return model


def test_arrays(data, count: int):
    """Returns the first test examples."""
    batches = []
    for batch in data.test:
        batches.append([keras.ops.convert_to_numpy(part) for part in batch])
        if sum(len(y) for _, y in batches) >= count:
            break
    return tuple(np.concatenate(p)[:count] for p in zip(*batches, strict=True))


def draw_curves(reports: dict):
    figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for name, report in reports.items():
        last = report.to_frame().groupby("epsilon").last()
        line = ax.plot(last.index, last["accuracy"], "o-", label=f"{name} training")
        ax.fill_between(
            last.index, last["low"], last["high"], alpha=0.2, color=line[0].get_color()
        )
    ax.set(xlabel="epsilon (linf)", ylabel="accuracy under attack", ylim=(0, 1))
    ax.legend()
    return figure


def save(figure, path: Path) -> None:
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110)
    plt.close(figure)


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        folder = writable_folder(Path(options.output) / "robustness")
        data = datasets.load(options.dataset, batch_size=128, seed=options.seed)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
    if data.task != "classification" or len(data.input_shape) != 3:
        raise SystemExit(f"error: expected images in classes. Received: {data!r}")
    test = test_arrays(data, options.examples)
    epsilons = np.linspace(0, 2 * options.epsilon, 7).round(4).tolist()
    reports = {}
    for name in ("normal", "adversarial"):
        model = train(data, options, adversarial=name == "adversarial")
        report = evaluate_robustness(
            model, test, epsilons, steps=options.steps, seed=options.seed, verbose=0
        )
        print(report)
        reports[name] = report
        save(report.plot(), folder / f"{name}.png")
        with replacing(folder / f"{name}.csv") as path:
            report.to_frame().to_csv(path, index=False)
    save(draw_curves(reports), folder / "curves.png")
    print(f"pictures and tables in {folder}")


if __name__ == "__main__":
    main()
