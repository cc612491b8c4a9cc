"""A wrapper that computes the logits and predictions of a model in batches."""

from collections.abc import Callable, Hashable

import keras
import numpy as np
from keras import ops

from ...backend.keras_internals import user_metrics
from ...differentiation import compile_function, unchanged_state
from .data_checks import are_signed, check_inputs, check_labels
from .float_inputs import graph_inputs, on_floats, only
from .head import Head, read_head
from .model_checks import check_model, check_outputs

HEAD_INPUTS = 200  # number of inputs that are used to determine the head
SKIPPED_DRAWS = 4  # maximum number of model calls in one attack step; see `vote`


class Classifier:
    """Computes the logits and predictions of a model in compiled functions.

    Initially, the head is determined from the layers only. `check_data` determines the
    head again, from the layers, the data, and the loss and metrics that the model was
    compiled with. A head that is passed as an argument never changes.

    Args:
        model: Built classifier with one input.
        head: The head of the model. Defaults to `None`: the head is not known yet.

    Attributes:
        head: The `Head`, which converts outputs to logits and predictions.

    Raises:
        ValueError: If gradient-based attacks do not support the model.
    """

    def __init__(self, model: keras.Model, head: Head | None = None):
        check_model(model)
        self.model = model
        self._head = head
        self._is_head_given = head is not None
        self._call = on_floats(model)
        self._compiled: dict[Hashable, Callable] = {}
        self._sizes: dict[str, int] = {}
        inputs = graph_inputs(model)
        if head is None and inputs:  # `check_data` determines it again
            self._head = read_head(model, model.outputs[0].shape[-1], None)
        if self._head is not None:
            self._logits = self._head.logits_of(model)

    @property
    def head(self) -> Head:
        if self._head is None:
            raise RuntimeError("Call `check_data` first to determine the head.")
        return self._head

    def logits(self, x):
        """Returns float32 logits for at least two classes, in inference mode."""
        return self._logits(x)

    def outputs(self, x):
        """Returns the outputs of the model in inference mode."""
        return self._call(x, training=False)

    def check_data(self, x, y, bounds) -> tuple[np.ndarray, np.ndarray]:
        """Checks the data; returns the inputs as float32 and the labels as int32."""
        inputs = graph_inputs(self.model)
        x = check_inputs(only(x), bounds, inputs[0].shape[1:] if inputs else None)
        y = _to_numpy(only(y))
        with unchanged_state():
            outputs = _to_numpy(self.outputs(x[:HEAD_INPUTS]))
        check_outputs(outputs.shape, min(len(x), HEAD_INPUTS))
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

    def compile(self, key: Hashable, function: Callable) -> Callable:
        """Compiles a function that calls the model, or returns the cached version.

        Args:
            key: Key under which the compiled function is cached until the head changes.
            function: Function of tensors; see `compile_function`.
        """
        if key not in self._compiled:
            self._compiled[key] = compile_function(function, self.model.variables)
        return self._compiled[key]

    def compute(self, function: Callable, x: np.ndarray, batch_size: int):
        """Compiles a method and applies it to all of `x` in batches.

        Args:
            function: Method of this object that maps a batch to a tensor. The
                compiled function is cached under the name of the method.
            x: Float32 array of inputs.
            batch_size: Integer >= 1.

        Returns:
            A NumPy array of the results for all inputs.
        """
        name = function.__name__
        compiled = self.compile(name, function)
        # A compiled function is traced for each size, so keep that of the last call.
        size = min(len(x), batch_size)
        if size <= self._sizes.get(name, 0) <= batch_size:
            size = self._sizes[name]
        self._sizes[name] = size
        batches = [x[start : start + size] for start in range(0, len(x), size)]
        return np.concatenate(
            [_to_numpy(compiled(_fill(some, size)))[: len(some)] for some in batches]
        )

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Returns the classes that the model predicts."""
        return self.head.classes(self.compute(self.outputs, x, batch_size))

    def vote(self, x: np.ndarray, draws: int, batch_size: int) -> np.ndarray:
        """Returns the classes that a stochastic model predicts most often.

        Each class is the majority vote over `draws` calls to the model. The results of
        `SKIPPED_DRAWS` earlier calls are not counted, because attacks may have used the
        random numbers of these calls.
        """
        count = self.head.num_classes
        votes = np.zeros((len(x), count), "int64")
        for start in range(0, len(x), batch_size):
            batch = ops.convert_to_tensor(x[start : start + batch_size])
            with unchanged_state():
                outputs = [self.outputs(batch) for _ in range(SKIPPED_DRAWS + draws)]
            for one in outputs[SKIPPED_DRAWS:]:
                classes = self.head.classes(_to_numpy(one))
                votes[start : start + batch_size] += np.eye(count, dtype=int)[classes]
        return votes.argmax(axis=1)


def _fill(values: np.ndarray, size: int) -> np.ndarray:
    """Pads an array to `size` rows with copies of its first row.

    A compiled function is reused only for batches of the same size.
    """
    if len(values) == size:
        return values
    return np.concatenate([values, np.repeat(values[:1], size - len(values), axis=0)])


def _to_numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))
