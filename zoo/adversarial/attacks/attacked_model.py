"""A wrapper that gives attacks the logits of a model and compiled searches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from ...differentiation import compile_function, unchanged_state
from .. import norms
from ..classifier.checks import (
    are_signed,
    check_inputs,
    check_labels,
    check_model,
    check_outputs,
)
from ..classifier.compiled import user_metrics
from ..classifier.float_inputs import graph_inputs, on_floats, only
from ..classifier.head import Head, read_head
from .batch_slots import Places

if TYPE_CHECKING:
    from .attack import Attack

SAMPLE = 200  # inputs that are used to determine the head
SEEN = 4  # maximum number of model calls in one step of an attack


@dataclass
class Found:
    """Holds the results of an attack, one entry per example.

    Args:
        adversarial: Float32 array with the shape of the inputs.
        broken: Bool array: whether the attack succeeded; also true for examples that
            were not attacked.
        objective: Float32 array: the best objective, or minus infinity for examples
            that were not attacked.
        non_finite: Bool array: whether an objective or a gradient was not finite.
    """

    adversarial: np.ndarray
    broken: np.ndarray
    objective: np.ndarray
    non_finite: np.ndarray

    def merge(self, rows: np.ndarray, broken, points, objective, is_finite) -> None:
        """Updates the results with the better points of one search."""
        better = broken | (objective > self.objective[rows])
        self.adversarial[rows[better]] = points[better]
        self.objective[rows[better]] = objective[better]
        self.broken[rows] |= broken
        self.non_finite[rows] |= ~is_finite


class AttackedModel:
    """Compiles a model's predictions and searches, once per kind and shape.

    At first, only the layers determine the head. `check_data` determines it again from
    the layers, the data, the compiled loss and the compiled metrics.

    Args:
        model: Built classifier with one input.
        head: The head of the model, if it is known. Defaults to `None`: unknown.

    Attributes:
        head: How outputs are converted to logits and to predictions.

    Raises:
        ValueError: If the model does not allow gradient-based attacks.
    """

    def __init__(self, model: keras.Model, head: Head | None = None):
        check_model(model)
        self.model = model
        self._head = head
        self._is_head_given = head is not None
        self._call = on_floats(model)
        self._compiled: dict = {}
        inputs = graph_inputs(model)
        if head is None and inputs:  # from the layers only, until `check_data`
            self._head = read_head(model, model.outputs[0].shape[-1], None)
        if self._head is not None:
            self._logits = self._head.logits_of(model)

    @property
    def head(self) -> Head:
        if self._head is None:
            raise RuntimeError("Call `check_data` first, to determine the head.")
        return self._head

    def logits(self, x):
        """Returns float32 logits of at least two classes, in inference mode."""
        return self._logits(x)

    def outputs(self, x):
        """Returns the outputs of the model in inference mode."""
        return self._call(x, training=False)

    def check_data(self, x, y, bounds) -> tuple[np.ndarray, np.ndarray]:
        """Returns float32 inputs and int32 labels, or raises if they are invalid."""
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
        """Applies a method to all of `x`, compiled and in batches.

        Args:
            function: Method of this object that maps a batch to a tensor. Its name
                identifies the compiled function.
            x: Float32 array of inputs.
            batch_size: Integer >= 1.

        Returns:
            A NumPy array of the results for all inputs.
        """
        compiled = self._compile(function.__name__, function)
        size = min(len(x), batch_size)
        batches = [x[start : start + size] for start in range(0, len(x), size)]
        return np.concatenate(
            [_to_numpy(compiled(_fill(some, size)))[: len(some)] for some in batches]
        )

    def compute_once(self, function: Callable, *arguments) -> np.ndarray:
        """Returns the result of any function, which is compiled for this call only."""
        return _to_numpy(compile_function(function, self.model.variables)(*arguments))

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Returns the classes that the model predicts."""
        return self.head.classes(self.compute(self.outputs, x, batch_size))

    def vote(self, x: np.ndarray, draws: int, batch_size: int) -> np.ndarray:
        """Returns the majority vote of a random model over several draws.

        The first `SEEN` draws are skipped, since attacks may have used them.
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
        """Searches for adversarial examples with the evaluation mode of an attack.

        Args:
            attack: The attack.
            x: Float32 array, within the bounds.
            y: Int32 array of true classes, or of target classes.
            rows: Indices of the examples to attack. Defaults to `None`: the correctly
                classified examples or, if the attack is targeted, those that are not
                classified as their target.
            batch_size: Integer >= 1. Defaults to `256`.
            on_progress: Function that receives the fraction of the attack completed
                since its previous call. Defaults to a function that does nothing.

        Returns:
            A `Found`. Examples that are not attacked are unchanged and count as
            broken.
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
        """Returns a function that starts new searches and continues all searches."""

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
    """Pads with the first row to `size` rows, so that one compilation suffices."""
    if len(values) == size:
        return values
    return np.concatenate([values, np.repeat(values[:1], size - len(values), axis=0)])


def _to_numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))
