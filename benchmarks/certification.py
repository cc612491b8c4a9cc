"""Compares certified accuracies with published ones, and CROWN with auto_LiRPA.

    python benchmarks/certification.py choose TASK [...]  # on validation data
    python benchmarks/certification.py run TASK [...]     # test results, fresh seeds
    python benchmarks/certification.py smoothing          # MNIST, sigma 0.25
    python benchmarks/certification.py bracket            # adversarial training
    python benchmarks/certification.py speed              # CROWN, beside auto_LiRPA

`choose` trains every candidate of a task with seed 0, and writes its certified accuracy
on validation data to `results/certification_choice.json`. `run` trains the best
candidate with a fresh seed on the train and validation data together, certifies and
attacks all test examples once, and writes `results/certification.json` (see
`protocol.py`). The other actions write to the same file.

With `--minutes`, the script stops after this time; the same command continues (see
`resumption.py`). `--dry` trains small networks for two epochs, uses 100 examples and
saves no results.

`speed` needs `pip install torch auto_LiRPA` and `KERAS_BACKEND=torch`. Without
auto_LiRPA, it measures kerascope only.
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
from resumption import Resumable

from zoo import datasets, mlp
from zoo.adversarial import (
    PGD,
    AdversarialTrainer,
    CertificateReport,
    CertifiedTrainer,
    IBPNormal,
    RobustnessReport,
    SmoothedClassifier,
    certify,
    evaluate_robustness,
)

DRY_EXAMPLES = 100
SEED = protocol.FIRST_FRESH_SEED
# Strength of an L1 penalty for the kernels of each network of `bracket`. Only this one
# was tried, on validation data.
PENALTIES = {"no penalty": 0.0, "L1 penalty of 2e-5": 2e-5}


@dataclass(frozen=True)
class Candidate:
    """Settings of one certified training run."""

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    units: tuple[int, ...] = (512, 512)
    scale: float = 1.1  # training epsilon divided by evaluation epsilon
    ramp: float = 0.5  # share of the steps in which the training epsilon grows
    kappa: float = 0.0
    method: str = "ibp"
    certify: str = "ibp"  # method of the certificates
    # Slope of a fixed first layer, which clips `slope * (x - 0.5) + 0.5` to [0, 1].
    contrast: float | None = None


@dataclass(frozen=True)
class Task:
    """Training task for one row of the table."""

    dataset: str
    norm: str
    epsilon: float
    candidates: tuple[str, ...]
    seeds: int = 1


TASKS = {
    "mnist, linf 0.1": Task("mnist", "linf", 0.1, ("contrast",)),
    "mnist, linf 0.1, plain MLP": Task("mnist", "linf", 0.1, ("long",)),
    "fashion_mnist, linf 0.1": Task("fashion_mnist", "linf", 0.1, ("long",)),
    "mnist, l2 0.3": Task("mnist", "l2", 0.3, ("crown",)),
}
CANDIDATES = {
    "contrast": Candidate(contrast=3.0),
    "long": Candidate(scale=1.0, epochs=100, ramp=0.25),
    "crown": Candidate(method="crown", certify="crown", units=(512,), epochs=15),
}


def train(task: Task, candidate: Candidate, seed: int, validation: float, work):
    """Trains one model; returns it, its data and the duration of `fit`."""
    keras.utils.set_random_seed(seed)
    data = datasets.load(
        task.dataset, batch_size=candidate.batch_size, validation=validation, seed=seed
    )

    def make_trainer():
        model = mlp(
            data.input_shape,
            data.num_outputs,
            units=candidate.units,
            kernel_initializer="auto" if candidate.method == "crown" else IBPNormal(),
            preprocessing=candidate.contrast and more_contrast(candidate.contrast),
        )
        batches = math.ceil(data.sizes["train"] / candidate.batch_size)
        steps = candidate.epochs * batches
        trainer = CertifiedTrainer(
            model,
            candidate.scale * task.epsilon,
            task.norm,
            method=candidate.method,
            warmup_steps=steps // 20,
            ramp_steps=int(candidate.ramp * steps),
            kappa=candidate.kappa,
        )
        optimizer = keras.optimizers.Adam(candidate.learning_rate)
        trainer.compile(optimizer, data.loss, metrics=data.metrics)
        return trainer

    trainer, seconds = work.fit(make_trainer, data, candidate.epochs)
    return trainer.model, data, seconds


def more_contrast(slope: float) -> keras.layers.Layer:
    """Returns a layer that makes dark pixels black and bright pixels white.

    Perturbations of most pixels of MNIST then have no effect.
    """
    layers = [
        keras.layers.Rescaling(slope, offset=(1 - slope) / 2),
        keras.layers.ReLU(max_value=1.0),
    ]
    return keras.Sequential(layers, name="more_contrast")


def arrays(dataset, examples: int | None):
    """Returns the first examples of a dataset as arrays `(x, y)`."""
    parts = zip(*dataset, strict=True)
    return tuple(
        np.concatenate([keras.ops.convert_to_numpy(some) for some in part])[:examples]
        for part in parts
    )


def certified(work, name, model, data, epsilons, norm="linf", method="crown") -> dict:
    """Returns the clean accuracy, and the certified accuracy for each epsilon."""
    reports = work.in_blocks(
        name,
        *data,
        CertificateReport,
        lambda block: certify(model, block, epsilons, norm, method=method, verbose=0),
    )
    return {
        "accuracy": share([report.correct for report in reports]),
        **{
            epsilon: share([report.certified[epsilon] for report in reports])
            for epsilon in reports[0].certified
        },
    }


def attacked(work, model, data, epsilons, norm="linf", **options) -> dict:
    """Returns the robust accuracy for each epsilon, and the warnings."""
    reports = work.in_blocks(
        "attacked",
        *data,
        RobustnessReport,
        lambda block: evaluate_robustness(
            model, block, epsilons, norm=norm, verbose=0, **options
        ),
    )
    return {
        "warnings": [text for report in reports for text in report.warnings],
        **{
            epsilon: share([report.robust[epsilon] for report in reports])
            for epsilon in reports[0].robust
        },
    }


def share(parts: list) -> float:
    return float(np.concatenate(parts).mean())


def choose(name: str, task: Task, options) -> None:
    def measure(candidate):
        label = next(key for key in candidates if candidates[key] is candidate)
        work = Resumable(f"choose {name} {label}", options)
        candidate = shortened(candidate, options.dry)
        model, data, seconds = train(task, candidate, 0, 0.1, work)
        examples = arrays(data.validation, DRY_EXAMPLES if options.dry else None)
        arguments = model, examples, task.epsilon, task.norm
        found = certified(work, "certified", *arguments, candidate.certify)
        work.clear()
        return {
            "seconds": seconds,
            "accuracy": found["accuracy"],
            "certified": found[task.epsilon],
        }

    candidates = {label: CANDIDATES[label] for label in task.candidates}
    if options.dry:
        print(name, measure(next(iter(candidates.values()))))
    else:
        protocol.choose("certification", name, candidates, measure)


def run(name: str, task: Task, options) -> None:
    def measure(candidate, seed):
        work = Resumable(f"run {name} {seed}", options)
        candidate = shortened(candidate, options.dry)
        model, data, seconds = train(task, candidate, seed, 0, work)
        examples = arrays(data.test, DRY_EXAMPLES if options.dry else None)
        arguments = model, examples, task.epsilon, task.norm
        proved = certified(work, "certified", *arguments, candidate.certify)
        left = attacked(work, *arguments)
        work.clear()
        return {
            "seconds": seconds,
            "accuracy": proved["accuracy"],
            "certified": proved[task.epsilon],
            "attacked": left[task.epsilon],
            "warnings": len(left["warnings"]),
            "texts_of_warnings": left["warnings"],
        }

    candidates = {label: CANDIDATES[label] for label in task.candidates}
    if options.dry:
        print(name, measure(next(iter(candidates.values())), 0))
        return
    label = protocol.best_candidate(
        "certification", name, candidates, score=lambda row: row["certified"]
    )
    protocol.run("certification", name, label, candidates[label], task.seeds, measure)


def smoothing(options, sigma: float = 0.25) -> None:
    """Trains a network with noise, and certifies 500 test examples in l2."""
    work = Resumable("smoothing", options)
    keras.utils.set_random_seed(SEED)
    data = datasets.load("mnist", batch_size=128, seed=SEED)

    def make_model():
        model = mlp(
            data.input_shape,
            data.num_outputs,
            units=(64,) if options.dry else (1024, 1024),
            augmentation=keras.layers.GaussianNoise(sigma),
        )
        model.compile(keras.optimizers.Adam(1e-3), data.loss, metrics=data.metrics)
        return model

    model, seconds = work.fit(make_model, data, 2 if options.dry else 20)
    report = SmoothedClassifier(model, sigma).certify(
        arrays(data.test, DRY_EXAMPLES if options.dry else 500),
        n=1000 if options.dry else 10_000,
        path=work.folder / "smoothing.json",
        verbose=0,
    )
    row = {
        "sigma": sigma,
        "seconds": seconds,
        "seconds_of_certify": round(report.seconds, 1),
        **{f"radius {r}": report.certified_accuracy(r) for r in (0.0, 0.25, 0.5)},
    }
    save("smoothing", [row], options.dry)
    work.clear()


def bracket(options) -> None:
    """Certifies and attacks adversarially trained networks with one hidden layer."""
    done = [] if options.dry else results.load("certification").get("bracket", [])
    for network, penalty in PENALTIES.items():
        if network not in {row["network"] for row in done}:
            done += bracket_of(network, penalty, options)
            save("bracket", done, options.dry)


def bracket_of(network: str, penalty: float, options) -> list[dict]:
    """Trains one network; returns the certified and attacked accuracies."""
    work = Resumable(f"bracket {network}", options)
    keras.utils.set_random_seed(SEED)
    data = datasets.load("mnist", batch_size=128, seed=SEED)

    def make_trainer():
        model = mlp(
            data.input_shape,
            data.num_outputs,
            units=(64,) if options.dry else (1024,),
            kernel_regularizer=keras.regularizers.L1(penalty) if penalty else None,
        )
        trainer = AdversarialTrainer(model, PGD(0.1, steps=7), clean_weight=0.5)
        trainer.compile(keras.optimizers.Adam(1e-3), data.loss, metrics=data.metrics)
        return trainer

    trainer, _ = work.fit(make_trainer, data, 2 if options.dry else 10)
    examples = arrays(data.test, DRY_EXAMPLES if options.dry else 1000)
    epsilons = [0.01, 0.02, 0.03, 0.05, 0.07, 0.1]
    steps = 5 if options.dry else 100
    left = attacked(work, trainer.model, examples, epsilons, steps=steps)
    rows = []
    for method in ("ibp", "crown", "alpha-crown"):
        found = certified(
            work, method, trainer.model, examples, epsilons, method=method
        )
        rows += [
            {
                "network": network,
                "method": method,
                "epsilon": epsilon,
                "certified": found[epsilon],
                "attacked": left[epsilon],
                "accuracy": found["accuracy"],
            }
            for epsilon in epsilons
        ]
    work.clear()
    return rows


def speed(options, rounds: int = 5) -> None:
    """Times CROWN on 1,000 examples of 784-1024-10, alternating with auto_LiRPA."""
    keras.utils.set_random_seed(0)
    model = mlp((784,), 10, units=(1024,))
    size = 50 if options.dry else 1000
    x = np.random.default_rng(0).random((size, 784)).astype("float32")
    y = np.arange(size) % 10
    ours, theirs, margins = [], [], None
    peer = importlib.util.find_spec("auto_LiRPA") and peer_bounds(model, x, y)
    for _ in range(rounds):
        start = time.perf_counter()
        margins = certify(model, (x, y), 0.05, verbose=0).margins[0.05]
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
    save("speed", [row], options.dry)


def peer_bounds(model, x, y):
    """Returns a function that runs CROWN of auto_LiRPA on the same weights."""
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


def shortened(candidate: Candidate, dry: bool) -> Candidate:
    return replace(candidate, epochs=2, units=(64,)) if dry else candidate


def save(name: str, rows: list[dict], dry: bool) -> None:
    print(name, rows, flush=True)
    if not dry:
        rows = [results.machine() | row for row in rows]
        results.save("certification", name, rows)


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    actions = ("choose", "run", "smoothing", "bracket", "speed")
    parser.add_argument("action", choices=actions)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all")
    parser.add_argument("--minutes", type=float, help="stop after this time")
    parser.add_argument("--dry", action="store_true", help="small; saves no results")
    options = parser.parse_args(arguments)
    for name in options.tasks:
        if name not in TASKS:
            parser.error(f"argument TASK: expected one of {list(TASKS)}: {name}")
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    if options.action in ("choose", "run"):
        for name in options.tasks or TASKS:
            {"choose": choose, "run": run}[options.action](name, TASKS[name], options)
        return
    actions = {"smoothing": smoothing, "bracket": bracket, "speed": speed}
    actions[options.action](options)


if __name__ == "__main__":
    main()
