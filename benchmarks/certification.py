"""Certified accuracies beside published ones; the speed of CROWN beside auto_LiRPA.

    python benchmarks/certification.py choose TASK [...]  # settings, validation data
    python benchmarks/certification.py run TASK [...]     # fresh seeds, test read once
    python benchmarks/certification.py smoothing          # MNIST, sigma 0.25
    python benchmarks/certification.py bracket            # adversarially trained FC
    python benchmarks/certification.py speed              # in turns with auto_LiRPA

`choose` trains every candidate of a task with seed 0 and writes what is certified of
validation data to `results/certification_choice.json`; `run` trains the best with fresh
seeds on train and validation data together, certifies and attacks all test points once,
and writes `results/certification.json` (see `protocol.py`). `--dry` takes two epochs
and 200 test points, and writes nothing. `speed` needs `pip install torch auto_LiRPA`
and `KERAS_BACKEND=torch`; without auto_LiRPA it times kerascope only.
"""

import argparse
import importlib.util
import math
import statistics
import time
from dataclasses import dataclass, replace

import keras
import numpy as np
import protocol
import results

from zoo import datasets, mlp
from zoo.adversarial import (
    PGD,
    AdversarialTrainer,
    CertifiedTrainer,
    SmoothedClassifier,
    certify,
    evaluate_robustness,
)

DRY_POINTS = 200


@dataclass(frozen=True)
class Candidate:
    """Settings of one certified training."""

    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 1e-3
    units: tuple[int, ...] = (1024, 1024)
    scale: float = 1.1  # epsilon in training over that of the evaluation
    kappa: float = 0.5
    method: str = "ibp"
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Task:
    """A row of the table: a data set and a ball."""

    dataset: str
    norm: str
    epsilon: float
    radius: float  # of linf, in training
    candidates: tuple[str, ...]
    method: str = "crown"  # of the certificates
    seeds: int = 1


TASKS = {
    "mnist, linf 0.1": Task(
        "mnist", "linf", 0.1, 0.1, ("ibp", "ibp, decay", "crown-ibp", "ibp, wide")
    ),
    "fashion_mnist, linf 0.1": Task(
        "fashion_mnist", "linf", 0.1, 0.1, ("ibp", "ibp, decay", "crown-ibp")
    ),
    # Trained in linf, which is what CertifiedTrainer does, and certified in l2.
    "mnist, l2 0.3": Task(
        "mnist", "l2", 0.3, 0.03, ("ibp, one layer", "crown-ibp, one layer")
    ),
}
CANDIDATES = {
    "ibp": Candidate(),
    "ibp, decay": Candidate(weight_decay=0.01),
    "ibp, wide": Candidate(units=(2048, 1024, 512), scale=1.2),
    "crown-ibp": Candidate(method="crown-ibp", kappa=0.25),
    "ibp, one layer": Candidate(units=(1024,)),
    "crown-ibp, one layer": Candidate(units=(1024,), method="crown-ibp"),
}


def train(task: Task, candidate: Candidate, seed: int, validation: float):
    """Trains one model; returns it, its data and the seconds of `fit`."""
    keras.utils.set_random_seed(seed)
    data = datasets.load(
        task.dataset, batch_size=candidate.batch_size, validation=validation, seed=seed
    )
    model = mlp(data.input_shape, data.num_outputs, units=candidate.units)
    batches = math.ceil(60_000 * (1 - validation) / candidate.batch_size)
    steps = candidate.epochs * batches
    trainer = CertifiedTrainer(
        model,
        candidate.scale * task.radius,
        method=candidate.method,
        warmup_steps=steps // 20,
        ramp_steps=steps // 2,
        kappa=candidate.kappa,
    )
    optimizer = keras.optimizers.AdamW(
        candidate.learning_rate, weight_decay=candidate.weight_decay
    )
    trainer.compile(optimizer, data.loss, metrics=data.metrics)
    return model, data, protocol.fit(trainer, data.train, candidate.epochs)


def arrays(dataset, points: int | None):
    parts = zip(*dataset, strict=True)
    return tuple(
        np.concatenate([keras.ops.convert_to_numpy(some) for some in part])[:points]
        for part in parts
    )


def choose(name: str, task: Task, dry: bool) -> None:
    def measure(candidate):
        model, data, seconds = train(task, _shorten(candidate, dry), 0, 0.1)
        points = arrays(data.validation, DRY_POINTS if dry else None)
        report = certify(
            model, points, task.epsilon, task.norm, method=task.method, verbose=0
        )
        return {
            "seconds": seconds,
            "accuracy": report.clean_accuracy,
            "certified": report.certified_accuracy[task.epsilon],
        }

    candidates = {label: CANDIDATES[label] for label in task.candidates}
    if dry:
        print(name, measure(next(iter(candidates.values()))))
    else:
        protocol.choose("certification", name, candidates, measure)


def run(name: str, task: Task, dry: bool) -> None:
    def measure(candidate, seed):
        model, data, seconds = train(task, _shorten(candidate, dry), seed, 0.0)
        points = arrays(data.test, DRY_POINTS if dry else None)
        report = certify(
            model, points, task.epsilon, task.norm, method=task.method, verbose=0
        )
        attacked = evaluate_robustness(
            model, points, task.epsilon, norm=task.norm, verbose=0
        )
        return {
            "seconds": seconds,
            "accuracy": report.clean_accuracy,
            "certified": report.certified_accuracy[task.epsilon],
            "attacked": attacked.robust_accuracy[task.epsilon],
        }

    candidates = {label: CANDIDATES[label] for label in task.candidates}
    if dry:
        print(name, measure(next(iter(candidates.values())), 0))
        return
    label = protocol.best_candidate(
        "certification", name, candidates, score=lambda row: row["certified"]
    )
    protocol.run("certification", name, label, candidates[label], task.seeds, measure)


def smoothing(dry: bool, sigma: float = 0.25) -> None:
    """Trains an MLP under noise, and certifies 500 test points in l2."""
    keras.utils.set_random_seed(protocol.FIRST_FRESH_SEED)
    data = datasets.load("mnist", batch_size=128, seed=protocol.FIRST_FRESH_SEED)
    model = mlp(
        data.input_shape,
        data.num_outputs,
        units=(1024, 1024),
        augmentation=keras.layers.GaussianNoise(sigma),
    )
    model.compile(keras.optimizers.Adam(1e-3), data.loss, metrics=data.metrics)
    seconds = protocol.fit(model, data.train, 2 if dry else 60)
    points = arrays(data.test, 20 if dry else 500)
    report = SmoothedClassifier(model, sigma).certify(
        points, n=1000 if dry else 10_000, verbose=0
    )
    row = {
        "sigma": sigma,
        "seconds": seconds,
        "seconds_of_certify": round(report.seconds, 1),
        **{f"radius {r}": report.certified_accuracy(r) for r in (0.0, 0.25, 0.5)},
    }
    _save("smoothing", row, dry)


def bracket(dry: bool) -> None:
    """Certifies and attacks an adversarially trained network of one layer."""
    keras.utils.set_random_seed(protocol.FIRST_FRESH_SEED)
    data = datasets.load("mnist", batch_size=128, seed=protocol.FIRST_FRESH_SEED)
    model = mlp(data.input_shape, data.num_outputs, units=(1024,))
    trainer = AdversarialTrainer(model, PGD(0.1, steps=7), clean_weight=0.5)
    trainer.compile(keras.optimizers.Adam(1e-3), data.loss, metrics=data.metrics)
    protocol.fit(trainer, data.train, 1 if dry else 20)
    points = arrays(data.test, 50 if dry else 1000)
    epsilons = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1]
    attacked = evaluate_robustness(
        model, points, epsilons, steps=5 if dry else 100, verbose=0
    ).robust_accuracy
    for method in ("ibp", "crown", "alpha-crown"):
        report = certify(model, points, epsilons, method=method, verbose=0)
        for epsilon, share in report.certified_accuracy.items():
            row = {
                "method": method,
                "epsilon": epsilon,
                "certified": share,
                "attacked": attacked[epsilon],
            }
            _save("bracket", row, dry)


def speed(dry: bool, rounds: int = 5) -> None:
    """Times CROWN of 1,000 examples through 784-1024-10, in turns with auto_LiRPA."""
    keras.utils.set_random_seed(0)
    model = mlp((784,), 10, units=(1024,))
    size = 50 if dry else 1000
    x = np.random.default_rng(0).random((size, 784)).astype("float32")
    y = np.arange(size) % 10
    ours, theirs, margins = [], [], None
    peer = importlib.util.find_spec("auto_LiRPA") and _peer(model, x, y)
    for _ in range(rounds):
        start = time.perf_counter()
        margins = certify(model, (x, y), 0.05, batch_size=size, verbose=0).margins[0.05]
        ours.append(time.perf_counter() - start)
        if peer:
            start = time.perf_counter()
            found = peer()
            theirs.append(time.perf_counter() - start)
    row = {"examples": size, "kerascope": statistics.median(ours)}
    if peer:
        row["auto_LiRPA"] = statistics.median(theirs)
        finite = np.isfinite(margins)
        difference = margins[finite].reshape(found.shape) - found
        row["largest_difference"] = float(np.abs(difference).max())
    _save("speed", row, dry)


def _peer(model, x, y):
    """CROWN of auto_LiRPA on the same weights."""
    import torch
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm

    first, first_bias, last, last_bias = (
        torch.tensor(part) for part in model.get_weights()
    )
    network = torch.nn.Sequential(
        torch.nn.Linear(784, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 10)
    )
    with torch.no_grad():
        for layer, kernel, bias in (
            (network[0], first, first_bias),
            (network[2], last, last_bias),
        ):
            layer.weight.copy_(kernel.T)
            layer.bias.copy_(bias)
    inputs = torch.tensor(x)
    bounded = BoundedModule(network, inputs)
    eye = torch.eye(10)
    others = torch.tensor([[j for j in range(10) if j != label] for label in y])
    rows = eye[torch.tensor(y)][:, None] - eye[others]
    ball = PerturbationLpNorm(
        norm=np.inf,
        eps=0.05,
        x_L=(inputs - 0.05).clamp(0, 1),
        x_U=(inputs + 0.05).clamp(0, 1),
    )

    def bounds():
        with torch.no_grad():
            lower, _ = bounded.compute_bounds(
                x=(BoundedTensor(inputs, ball),), C=rows, method="CROWN"
            )
        return lower.numpy()

    return bounds


def _shorten(candidate: Candidate, dry: bool) -> Candidate:
    return replace(candidate, epochs=2, units=(64,)) if dry else candidate


def _save(name: str, row: dict, dry: bool) -> None:
    print(name, row, flush=True)
    if not dry:
        rows = [*protocol.stored("certification", name), row | results.machine()]
        results.save("certification", name, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = ("choose", "run", "smoothing", "bracket", "speed")
    parser.add_argument("command", choices=commands)
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(TASKS)}")
    parser.add_argument("--dry", action="store_true", help="small, and writes nothing")
    options = parser.parse_args()
    if unknown := set(options.tasks) - TASKS.keys():
        parser.error(f"unknown tasks: {', '.join(sorted(unknown))}")
    if options.command in ("choose", "run"):
        for name in options.tasks or TASKS:
            function = choose if options.command == "choose" else run
            function(name, TASKS[name], options.dry)
    else:
        function = {"smoothing": smoothing, "bracket": bracket, "speed": speed}
        function[options.command](options.dry)


if __name__ == "__main__":
    main()
