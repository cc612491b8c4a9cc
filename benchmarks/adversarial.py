"""Compares adversarial training with published results, and attacks across libraries.

    python benchmarks/adversarial.py choose TASK [...]   # settings, on validation data
    python benchmarks/adversarial.py run TASK [...]      # test results, fresh seeds
    python benchmarks/adversarial.py strength            # PGD-40 of several libraries
    python benchmarks/adversarial.py speed               # running times of PGD-40
    python benchmarks/adversarial.py step                # relative cost of a PGD-7 step

`choose` trains every candidate of a task with seed 0, and writes its clean and robust
accuracy on validation data to `results/adversarial_choice.json`.

`run` first selects a candidate: it subtracts the published clean and robust accuracies
from these accuracies, and takes the candidate for which the smaller of the two
differences is largest. For residual networks and for the l2 norm, it uses the candidate
that was selected for the plain network and linf, so that the budget is the same. `run`
then trains with fresh seeds on the train and validation data together, evaluates each
model once on the test set with all attack stages, and writes
`results/adversarial.json` (see `protocol.py`).

`strength` and `speed` compare PGD with that of other libraries (`pip install foolbox
cleverhans torch torchattacks`), and skip libraries that are not installed.
"""

import argparse
import importlib.util
import itertools
import statistics
import time
from dataclasses import dataclass

import keras
import numpy as np
import protocol
import results
from keras import ops

from zoo import datasets, mlp, res_mlp
from zoo.adversarial import PGD, AdversarialTrainer, evaluate_robustness


@dataclass(frozen=True)
class Candidate:
    """Settings of one adversarial training run."""

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    objective: str = "standard"
    steps: int = 7
    clean_weight: float = 0.0
    scale: float = 1.0  # training epsilon divided by evaluation epsilon
    beta: float = 6.0
    weight_decay: float = 0.0
    # Initial standard deviation of the plain network's first kernel; None: He.
    first_kernel: float | None = None
    loss_power: float = 0.0  # q of `generalized_cross_entropy`; 0: cross-entropy


@dataclass(frozen=True)
class Task:
    """Training task for one row of the table."""

    dataset: str
    norm: str
    epsilon: float
    published: tuple[float, float] = (0.0, 0.0)  # clean and robust accuracy
    candidates: tuple[str, ...] = (
        "standard",
        "half clean",
        "half clean, longer",
        "TRADES",
    )
    residual: bool = False
    chosen_by: str | None = None  # task whose selected candidate is used instead
    seeds: int = 3


TASKS = {
    "mnist, linf 0.1": Task("mnist", "linf", 0.1, published=(0.991, 0.900)),
    "fashion_mnist, linf 0.1": Task(
        "fashion_mnist",
        "linf",
        0.1,
        published=(0.883, 0.705),
        candidates=(
            "standard",
            "half clean",
            "quarter clean, longer",
            "tenth clean, longer",
            "tenth clean, small start",
            "tenth clean, small start, decay",
            "quarter clean, small start, bounded loss",
        ),
    ),
    "mnist, l2 0.3": Task("mnist", "l2", 0.3, chosen_by="mnist, linf 0.1"),
    "mnist, linf 0.1, residual": Task(
        "mnist", "linf", 0.1, residual=True, chosen_by="mnist, linf 0.1"
    ),
    "fashion_mnist, linf 0.1, residual": Task(
        "fashion_mnist",
        "linf",
        0.1,
        residual=True,
        chosen_by="fashion_mnist, linf 0.1",
    ),
}
CANDIDATES = {
    "standard": Candidate(),
    "half clean": Candidate(clean_weight=0.5),
    "half clean, longer": Candidate(epochs=60, steps=5, clean_weight=0.5),
    "quarter clean, longer": Candidate(epochs=60, steps=3, clean_weight=0.25),
    "tenth clean, longer": Candidate(epochs=60, steps=4, clean_weight=0.1),
    "tenth clean, small start": Candidate(
        epochs=60, steps=4, clean_weight=0.1, first_kernel=0.005
    ),
    "tenth clean, small start, decay": Candidate(
        epochs=60, steps=4, clean_weight=0.1, first_kernel=0.005, weight_decay=0.1
    ),
    "quarter clean, small start, bounded loss": Candidate(
        epochs=60, steps=4, clean_weight=0.25, first_kernel=0.005, loss_power=0.5
    ),
    "TRADES": Candidate(objective="trades"),
}
ACCURACIES = ("accuracy", "robust_accuracy")


def build(task: Task, candidate: Candidate, data) -> keras.Model:
    if task.residual:  # about as many parameters as one hidden layer of 1,024
        return res_mlp(data.input_shape, data.num_outputs, units=512, num_blocks=1)
    initializer = "auto"
    if candidate.first_kernel is not None:
        initializer = keras.initializers.RandomNormal(stddev=candidate.first_kernel)
    return mlp(
        data.input_shape,
        data.num_outputs,
        units=(1024,),
        kernel_initializer=initializer,
    )


def generalized_cross_entropy(power: float):
    """Returns a bounded loss, which limits the influence of unlearnable examples.

    If the true class has probability p, the loss is (1 - p ** power) / power. This is
    the L_q loss of Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep
    Neural Networks with Noisy Labels" (2018).
    """

    def loss(y_true, logits):
        cross_entropy = keras.losses.sparse_categorical_crossentropy(
            y_true, logits, from_logits=True
        )
        return (1 - ops.exp(-power * cross_entropy)) / power

    return loss


def train(task: Task, candidate: Candidate, seed: int, validation: float):
    """Trains one model; returns the trainer, the data and the duration of `fit`."""
    keras.utils.set_random_seed(seed)
    data = datasets.load(
        task.dataset,
        batch_size=candidate.batch_size,
        validation=validation,
        seed=seed,
    )
    model = build(task, candidate, data)
    epsilon = candidate.scale * task.epsilon
    attack = PGD(epsilon, norm=task.norm, steps=candidate.steps, seed=seed)
    trainer = AdversarialTrainer(
        model,
        attack,
        candidate.objective,
        beta=candidate.beta if candidate.objective == "trades" else None,
        clean_weight=candidate.clean_weight,
        clean_metrics=False,
        validation_attack=PGD(task.epsilon, norm=task.norm, steps=40),
    )
    optimizer = keras.optimizers.AdamW(
        candidate.learning_rate, weight_decay=candidate.weight_decay
    )
    loss = data.loss
    if candidate.loss_power:
        loss = generalized_cross_entropy(candidate.loss_power)
    trainer.compile(optimizer, loss, metrics=data.metrics)
    return trainer, data, protocol.fit(trainer, data.train, candidate.epochs)


def choose(name: str, task: Task) -> None:
    if task.chosen_by:
        return

    def measure(candidate):
        trainer, data, seconds = train(task, candidate, 0, validation=0.1)
        scores = trainer.evaluate(data.validation, verbose=0, return_dict=True)
        return {"seconds": seconds, **{key: scores[key] for key in ACCURACIES}}

    protocol.choose("adversarial", name, candidates_of(task), measure)


def candidates_of(task: Task) -> dict[str, Candidate]:
    return {label: CANDIDATES[label] for label in task.candidates}


def best_candidate(name: str, task: Task) -> str:
    """Returns the name of the candidate with the largest worst-case margin.

    The worst-case margin is the smaller of two differences: clean accuracy minus
    published clean accuracy, and robust accuracy minus published robust accuracy.
    """

    def worse(row):
        pairs = zip(ACCURACIES, task.published, strict=True)
        return min(row[key] - published for key, published in pairs)

    return protocol.best_candidate("adversarial", name, candidates_of(task), worse)


def run(name: str, task: Task) -> None:
    def measure(candidate, seed):
        trainer, data, seconds = train(task, candidate, seed, validation=0)
        return {"seconds": seconds, **evaluate(trainer.model, task, data)}

    chosen = task.chosen_by or name
    label = best_candidate(chosen, TASKS[chosen])
    candidate = CANDIDATES[label]
    protocol.run("adversarial", name, label, candidate, task.seeds, measure)


def evaluate(model, task: Task, data) -> dict:
    """Returns the results on the first 1,000 test examples and on all of them."""
    x, y = (np.concatenate(parts) for parts in zip(*data.test, strict=True))
    found = {}
    for key, size in (("first_1000", 1000), ("all", None)):
        report = evaluate_robustness(
            model,
            (x[:size], y[:size]),
            task.epsilon,
            norm=task.norm,
            batch_size=1000,
            verbose=0,
        )
        found[key] = {
            "clean": report.clean_accuracy,
            "robust": report.robust_accuracy[task.epsilon],
            "warnings": report.warnings,
            "stages": report.to_frame().to_dict("records"),
        }
    return found


def peers(model, epsilon: float, steps: int) -> dict:
    """Returns the PGD attacks of several libraries, by name, with the same budget."""
    step = 2.5 * epsilon / steps

    own = PGD(epsilon, steps=steps)
    attacks = {"kerascope": lambda x, y: own(model, x, y)}
    on_tensorflow = keras.backend.backend() == "tensorflow"
    if on_tensorflow and importlib.util.find_spec("foolbox"):
        import foolbox
        import tensorflow as tf

        wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1))
        pgd = foolbox.attacks.LinfPGD(abs_stepsize=step, steps=steps)

        def of_foolbox(x, y):
            labels = tf.convert_to_tensor(y, tf.int64)
            _, clipped, _ = pgd(
                wrapped, tf.convert_to_tensor(x), labels, epsilons=epsilon
            )
            return clipped.numpy()

        attacks["foolbox"] = of_foolbox
    if on_tensorflow and importlib.util.find_spec("cleverhans"):
        from cleverhans.tf2.attacks.projected_gradient_descent import (
            projected_gradient_descent,
        )

        def of_cleverhans(x, y):
            return projected_gradient_descent(
                model, x, epsilon, step, steps, np.inf, clip_min=0, clip_max=1, y=y
            ).numpy()

        attacks["cleverhans"] = of_cleverhans
    if importlib.util.find_spec("torchattacks"):
        attacks["torchattacks"] = of_torchattacks(model, epsilon, step, steps)
    return attacks


def of_torchattacks(model, epsilon, step, steps):
    """Returns the PGD attack of torchattacks on a PyTorch copy of the model.

    The model must have one hidden layer.
    """
    import torch
    import torchattacks

    kernels = model.get_weights()
    network = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(*kernels[0].shape),
        torch.nn.ReLU(),
        torch.nn.Linear(*kernels[2].shape),
    )
    with torch.no_grad():
        for layer, (kernel, bias) in zip(
            (network[1], network[3]), (kernels[:2], kernels[2:]), strict=True
        ):
            layer.weight.copy_(torch.tensor(kernel.T))
            layer.bias.copy_(torch.tensor(bias))
    pgd = torchattacks.PGD(network.eval(), eps=epsilon, alpha=step, steps=steps)

    def attack(x, y):
        images = torch.tensor(x)[:, None, ..., 0]
        return pgd(images, torch.tensor(y).long()).numpy()[:, 0, ..., None]

    return attack


def attacked_model(options):
    """Returns a normally trained model with one hidden layer, and test examples."""
    keras.utils.set_random_seed(0)
    data = datasets.load(options.dataset, batch_size=128)
    model = mlp(data.input_shape, data.num_outputs, units=(1024,))
    model.compile("adam", data.loss, metrics=data.metrics)
    model.fit(data.train, epochs=options.epochs, shuffle=False, verbose=0)
    x, y = (np.concatenate(parts) for parts in zip(*data.test, strict=True))
    return model, x[: options.examples], y[: options.examples]


def strength(options) -> dict:
    """Returns the robust accuracy under PGD-40, as implemented by each library."""
    model, x, y = attacked_model(options)
    found = {}
    for name, attack in peers(model, options.epsilon, 40).items():
        predicted = model.predict(attack(x, y), verbose=0).argmax(axis=1)
        found[name] = float((predicted == y).mean())
    return {"robust_accuracy": found, "epsilon": options.epsilon, "examples": len(x)}


def speed(options) -> dict:
    """Measures the seconds that PGD-40 of each library takes on one batch.

    After a warm-up call, the libraries take turns. A tenth of epsilon is measured as
    well: there, few attacks succeed, so that nearly all examples need all steps.
    """
    model, x, y = attacked_model(options)
    seconds, left = {}, {}
    for epsilon in (options.epsilon, options.epsilon / 10):
        attacks = peers(model, epsilon, 40)
        names, times = list(attacks), {name: [] for name in attacks}
        for name, attack in attacks.items():
            predicted = model.predict(attack(x, y), verbose=0).argmax(axis=1)
            left[f"{name}, {epsilon:g}"] = float((predicted == y).mean())
        for turn in range(options.rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                start = time.perf_counter()
                attacks[name](x, y)
                times[name].append(time.perf_counter() - start)
        seconds |= {f"{name}, {epsilon:g}": times[name] for name in names}
    return {
        "median": {name: statistics.median(times) for name, times in seconds.items()},
        "robust_accuracy": left,
        "seconds": seconds,
        "examples": len(x),
    }


def operations(sizes: tuple[int, ...], steps: int) -> float:
    """Returns the ratio of multiplications in a step with PGD to those in a plain step.

    Each layer costs one unit for the forward pass, one for the gradient of its weights,
    and one for the gradient of its inputs. A plain step does not need the gradient of
    the inputs of the first layer.
    """
    layers = [a * b for a, b in itertools.pairwise(sizes)]
    plain = 3 * sum(layers) - layers[0]
    return (plain + 2 * sum(layers) * steps) / plain


def step(options) -> dict:
    """Measures the time of a training step with PGD-7 relative to a plain step."""
    rng = np.random.default_rng(0)
    x = rng.random((128 * options.batches, 784), dtype="float32")
    y = rng.integers(0, 10, len(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    models = {}
    for name in ("plain", "pgd"):
        model = mlp((784,), 10, units=(1024,))
        if name == "pgd":
            model = AdversarialTrainer(model, PGD(0.1, steps=7), clean_metrics=False)
        model.compile(keras.optimizers.SGD(0.01), loss)
        model.fit(x, y, batch_size=128, verbose=0)
        models[name] = model
    seconds = {name: [] for name in models}
    for turn in range(options.rounds):
        for name in sorted(models, reverse=bool(turn % 2)):
            start = time.perf_counter()
            models[name].fit(x, y, batch_size=128, verbose=0)
            seconds[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds["pgd"], seconds["plain"], strict=True)]
    counted = operations((784, 1024, 10), 7)
    return {
        "ratio": statistics.median(ratios),
        "operations": counted,
        "over_operations": statistics.median(ratios) / counted,
        "seconds": seconds,
    }


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    actions = ("choose", "run", "strength", "speed", "step")
    parser.add_argument("action", choices=actions)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--epsilon", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--dry", action="store_true", help="do not save results")
    options = parser.parse_args(arguments)
    for name in options.tasks:
        if name not in TASKS:
            parser.error(f"argument TASK: expected one of {list(TASKS)}: {name}")
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    if options.action in ("choose", "run"):
        for name in options.tasks or TASKS:
            {"choose": choose, "run": run}[options.action](name, TASKS[name])
        return
    measure = {"strength": strength, "speed": speed, "step": step}[options.action]
    entry = measure(options)
    print(keras.backend.backend(), entry)
    if not options.dry:
        key = keras.backend.backend()
        entry = entry | {"machine": results.machine()}
        results.save(f"adversarial_{options.action}", key, entry)


if __name__ == "__main__":
    main()
