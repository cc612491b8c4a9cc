"""A model as attacks see it: logits, and searches that are compiled once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from ..differentiation import compile_function, unchanged_state
from . import norms
from .checks import are_signed, check_inputs, check_labels, check_model, check_outputs
from .compiled import user_metrics
from .head import Head, read_head
from .model_call import graph_inputs, on_floats, only
from .places import Places

if TYPE_CHECKING:
    from .attack import Attack

SAMPLE = 200  # inputs at which the head is read
SEEN = 4  # calls of a model in one step of an attack, at most


@dataclass
class Found:
    """What an attack has found, an entry for every example.

    Args:
        adversarial: Float32 array of the shape of the inputs.
        broken: Bool array: whether the prediction is as the attack wants it.
        objective: Float32 array: what the attack maximises, minus infinity where it
            did not begin.
        non_finite: Bool array: whether an objective or a gradient was not finite.
    """

    adversarial: np.ndarray
    broken: np.ndarray
    objective: np.ndarray
    non_finite: np.ndarray

    def merge(self, rows: np.ndarray, broken, points, objective, is_finite) -> None:
        """Takes over what is better in the results of one search."""
        better = broken | (objective > self.objective[rows])
        self.adversarial[rows[better]] = points[better]
        self.objective[rows[better]] = objective[better]
        self.broken[rows] |= broken
        self.non_finite[rows] |= ~is_finite


class AttackedModel:
    """Compiles a model's predictions and searches, once for every kind and shape.

    The layers say how outputs are read; after `check_data` the data, the compiled loss
    and the compiled metrics do, too.

    Args:
        model: Built classifier of one input.
        head: How outputs are read, where it is known. Defaults to `None`.

    Attributes:
        head: How outputs are read as logits and as predictions.

    Raises:
        ValueError: If the model cannot be attacked along gradients.
    """

    def __init__(self, model: keras.Model, head: Head | None = None):
        check_model(model)
        self.model = model
        self._head = head
        self._is_head_given = head is not None
        self._call = on_floats(model)
        self._compiled: dict = {}
        inputs = graph_inputs(model)
        if head is None and inputs:  # what the layers alone say, until data come
            self._head = read_head(model, model.outputs[0].shape[-1], None)
        if self._head is not None:
            self._logits = self._head.logits_of(model)

    @property
    def head(self) -> Head:
        if self._head is None:
            raise RuntimeError("Call `check_data` first: the layers do not say it.")
        return self._head

    def logits(self, x):
        """Returns float32 logits of two classes at least, in inference mode."""
        return self._logits(x)

    def outputs(self, x):
        """Returns what the model returns in inference mode."""
        return self._call(x, training=False)

    def check_data(self, x, y, bounds) -> tuple[np.ndarray, np.ndarray]:
        """Returns float32 inputs and int32 labels, or raises if they do not fit."""
        inputs = graph_inputs(self.model)
        x = check_inputs(only(x), bounds, inputs[0].shape[1:] if inputs else None)
        y = _to_numpy(only(y))
        with unchanged_state():
            outputs = _to_numpy(self.outputs(x[:SAMPLE]))
        check_outputs(outputs.shape, min(len(x), SAMPLE))
        if not self._is_head_given:
            self._read_head(outputs, are_signed(y))
        return x, check_labels(y, len(x), self.head)

    def _read_head(self, outputs: np.ndarray, signed: bool) -> None:
        compiled = getattr(self.model, "compiled", False)
        head = read_head(
            self.model,
            outputs.shape[1],
            outputs.astype("float32"),
            loss=self.model.loss if compiled else None,
            metrics=user_metrics(self.model) if compiled else (),
            signed=signed,
        )
        if head != self._head:
            self._head = head
            self._logits = head.logits_of(self.model)
            self._compiled.clear()

    def compute(self, function: Callable, x: np.ndarray, batch_size: int):
        """Returns a method's tensor over all of `x`, compiled and batch by batch."""
        compiled = self._compile(function.__name__, function)
        size = min(len(x), batch_size)
        batches = [x[start : start + size] for start in range(0, len(x), size)]
        return np.concatenate(
            [_to_numpy(compiled(_fill(some, size)))[: len(some)] for some in batches]
        )

    def compute_once(self, function: Callable, *arguments) -> np.ndarray:
        """Returns any function's tensor, compiled for this call alone."""
        return _to_numpy(compile_function(function, self.model.variables)(*arguments))

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Returns the classes that the model's own outputs predict."""
        return self.head.classes(self.compute(self.outputs, x, batch_size))

    def vote(self, x: np.ndarray, draws: int, batch_size: int) -> np.ndarray:
        """Returns the classes that most draws of a random model predict.

        They are draws that no attack has seen.
        """
        count = max(2, self.head.num_outputs)
        votes = np.zeros((len(x), count), "int64")
        for start in range(0, len(x), batch_size):
            batch = ops.convert_to_tensor(x[start : start + batch_size])
            with unchanged_state():
                outputs = [self.outputs(batch) for _ in range(SEEN + draws)][SEEN:]
            for one in outputs:
                classes = self.head.classes(_to_numpy(one))
                votes[start : start + batch_size] += np.eye(count, dtype=int)[classes]
        return votes.argmax(axis=1)

    def attack(
        self,
        attack: "Attack",
        x: np.ndarray,
        y: np.ndarray,
        *,
        rows: np.ndarray | None = None,
        batch_size: int = 256,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> Found:
        """Searches for adversarial examples, in the evaluation mode of an attack.

        Args:
            attack: The attack.
            x: Float32 array, within the bounds.
            y: Int32 array.
            rows: Rows of the examples to attack, all of which are classified
                correctly. Defaults to `None`: all that are.
            batch_size: Integer >= 1. Defaults to `256`.
            on_progress: Function that is told what share of the attack was done
                since it was last told. Defaults to one that does nothing.

        Returns:
            What was `Found`. What is not attacked is left as it is, and is broken.
        """
        found = Found(
            adversarial=x.copy(),
            broken=np.ones(len(x), bool),
            objective=np.full(len(x), -np.inf, "float32"),
            non_finite=np.zeros(len(x), bool),
        )
        if rows is None:
            is_target = self.predict(x, batch_size) == y
            rows = np.flatnonzero(~is_target if attack.targeted else is_target)
        found.broken[rows] = False
        if not len(rows):
            return found
        size = min(len(x), max(1, batch_size // attack.points_per_step))
        places = Places(attack, x, y, rows, size)
        resume = self._compile(attack.kind(), self._resumption(attack))
        settings = attack.settings()
        state = places.empty_state(settings)
        while places.fill():
            state = resume(*places.arguments(), state, settings)
            results = [
                _to_numpy(state[key])
                for key in ("is_going", "is_successful", "points", "objective")
            ]
            done, examples, restarts = places.leave(*results[:2])
            is_finite = _to_numpy(state["is_finite"])
            found.merge(examples, *(part[done] for part in (*results[1:], is_finite)))
            on_progress(restarts.sum() / len(rows) / attack.restarts)
        return found

    def _resumption(self, attack: "Attack") -> Callable:
        """Returns what begins the searches that are fresh, and continues all."""

        def resume(x, y, rank, noise, active, is_fresh, waiting, state, settings):
            begun = attack.begin_search(x, active, noise, settings)
            state = keras.tree.map_structure(
                lambda new, old: ops.where(norms.expand(is_fresh, new), new, old),
                begun,
                state,
            )
            return attack.continue_search(
                self.logits, x, y, rank, state, waiting, settings
            )

        return resume

    def _compile(self, key, function: Callable) -> Callable:
        if key not in self._compiled:
            self._compiled[key] = compile_function(function, self.model.variables)
        return self._compiled[key]


def _fill(values: np.ndarray, size: int) -> np.ndarray:
    """Repeats the first row until there are `size`: one shape, one compilation."""
    if len(values) == size:
        return values
    return np.concatenate([values, np.repeat(values[:1], size - len(values), axis=0)])


def _to_numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))
