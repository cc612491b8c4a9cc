"""Between which accuracies does the truth lie, and who can be certified at all?

Trains the same network three times: normally, on adversarial examples, and so that
intervals can certify it. For each, the accuracy that attacks leave is an upper bound of
the robust accuracy, and the one that is certified a lower bound. Writes to
`runs/certificates/` the bands between them (`brackets.png`) and a table for each
network (`normal.csv`, `adversarial.csv`, `certified.csv`).

    python examples/certificates.py
    python examples/certificates.py --dataset mnist --epochs 30 --units 512
"""

import argparse
from pathlib import Path

import keras
import matplotlib
import numpy as np
import pandas as pd

from zoo import datasets, mlp
from zoo.adversarial import (
    PGD,
    AdversarialTrainer,
    CertifiedTrainer,
    certify,
    evaluate_robustness,
)
from zoo.files import replacing, writable_folder

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TRAININGS = ("normal", "adversarial", "certified")


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--dataset", default="digits", help="of images")
    parser.add_argument("--epsilon", type=float, default=0.06, help="linf, in [0, 1]")
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--examples", type=int, default=300, help="that are judged")
    parser.add_argument("--steps", type=int, default=20, help="of the attacks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="runs", help="folder of the results")
    options = parser.parse_args(arguments)
    for name in ("units", "epochs", "examples", "steps"):
        if getattr(options, name) < 1:
            parser.error(f"argument --{name}: expected >= 1")
    if not 0 < options.epsilon <= 0.5:
        parser.error("argument --epsilon: expected above 0, and at most 0.5")
    return options


def train(data, options, training: str) -> keras.Model:
    keras.utils.set_random_seed(options.seed)
    data.order.counter = 0
    model = mlp(data.input_shape, data.num_outputs, units=(options.units,) * 2)
    steps = options.epochs * sum(1 for _ in data.train)
    trainer = {
        "normal": lambda: model,
        "adversarial": lambda: AdversarialTrainer(model, PGD(options.epsilon, steps=5)),
        "certified": lambda: CertifiedTrainer(
            model,
            options.epsilon,
            warmup_steps=steps // 20,
            ramp_steps=steps // 2,
        ),
    }[training]()
    trainer.compile(keras.optimizers.Adam(2e-3), data.loss, metrics=data.metrics)
    trainer.fit(data.train, epochs=options.epochs, shuffle=False, verbose=0)
    return model


def test_arrays(data, count: int):
    """Returns the first test examples."""
    parts = zip(*data.test, strict=True)
    return tuple(
        np.concatenate([keras.ops.convert_to_numpy(some) for some in part])[:count]
        for part in parts
    )


def bracket(model, test, epsilons, options) -> pd.DataFrame:
    """Returns what is certified, by intervals and linear bounds, and what is left."""
    left = evaluate_robustness(
        model, test, epsilons, steps=options.steps, restarts=1, verbose=0
    )
    proved = {
        method: certify(model, test, epsilons, method=method, verbose=0)
        for method in ("ibp", "crown")
    }
    rows = [
        {
            "epsilon": epsilon,
            "certified (IBP)": proved["ibp"].certified_accuracy[epsilon],
            "certified (CROWN)": proved["crown"].certified_accuracy[epsilon],
            "left by attacks": left.robust_accuracy[epsilon],
        }
        for epsilon in epsilons
    ]
    return pd.DataFrame(rows)


def draw(tables: dict, epsilon: float):
    figure, axes = plt.subplots(
        1, len(tables), figsize=(11, 3.8), sharey=True, layout="constrained"
    )
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        x = table["epsilon"]
        best = table[["certified (IBP)", "certified (CROWN)"]].max(axis=1)
        ax.fill_between(x, best, table["left by attacks"], alpha=0.25, label="unknown")
        for column, style in zip(table.columns[1:], ("o:", "o--", "o-"), strict=True):
            ax.plot(x, table[column], style, ms=3, label=column)
        if name != "normal":
            ax.axvline(epsilon, color="k", lw=0.8, ls=":", label="epsilon of training")
        ax.set(
            xlabel="epsilon (linf, pixels in [0, 1])",
            title=f"{name} training",
            ylim=(-0.02, 1.02),
        )
    axes[0].set_ylabel("robust accuracy")
    axes[-1].legend(fontsize=8, loc="lower left")
    return figure


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        folder = writable_folder(Path(options.output) / "certificates")
        data = datasets.load(options.dataset, batch_size=64, seed=options.seed)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
    if data.task != "classification" or len(data.input_shape) != 3:
        raise SystemExit(f"error: expected images in classes. Received: {data!r}")
    test = test_arrays(data, options.examples)
    epsilons = np.linspace(0, 1.5 * options.epsilon, 7).round(4).tolist()
    tables = {}
    for name in TRAININGS:
        tables[name] = bracket(train(data, options, name), test, epsilons, options)
        print(f"{name} training\n{tables[name].round(4).to_string(index=False)}")
        with replacing(folder / f"{name}.csv") as path:
            tables[name].to_csv(path, index=False)
    with replacing(folder / "brackets.png") as path:
        draw(tables, options.epsilon).savefig(path, dpi=110)
    print(f"picture and tables in {folder}")


if __name__ == "__main__":
    main()
