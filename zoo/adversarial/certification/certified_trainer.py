"""Training that makes certificates tight, as an ordinary `fit`."""

import keras
import numpy as np
from keras import ops

from ...arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_positive,
    invalid_argument,
)
from ..attack import check_bounds, check_epsilon
from ..compiled import LOGITS
from ..guarded_trainer import GuardedTrainer
from ..logits import find_logits
from ..model_call import only
from .ball import Ball
from .interval_bounds import BoundPass, interval_bounds
from .linear_bounds import lower_bounds, relax_all
from .network import read_network

DTYPE = "float32"


@keras.saving.register_keras_serializable(package="kerascope")
class CertifiedTrainer(GuardedTrainer):
    """Trains a classifier so that intervals can certify it, through Keras' own `fit`.

    In every step the logits of the worst case in the linf ball are bounded, and the
    loss is `kappa` times the compiled loss on clean inputs plus `1 - kappa` times the
    compiled loss of these logits (Gowal et al., "On the Effectiveness of Interval Bound
    Propagation for Training Verifiably Robust Models", 2018, equation 12). Over
    `ramp_steps` training steps epsilon grows from 0 to its full size, and the share of
    the worst case from 0 to `1 - kappa`: without that, training often collapses to
    chance. Steps are counted over all calls of `fit`.

    "certified_accuracy" and "val_certified_accuracy" are the shares of examples that
    intervals certify: in training at the epsilon of the step, in validation and
    `evaluate` at the full one. They are computed in float32, without room for rounding:
    `zoo.adversarial.certify` makes the certificates. In `evaluate`, "loss" is that on
    clean inputs.

    `trainer.model` is the model as it was passed, trained, which saves and loads
    without kerascope. The trainer saves as any Keras model, with its optimizer.

    Args:
        model: Built classifier of one input of floats that ends in logits of two
            classes at least, of layers that `certify` can read.
        epsilon: Number > 0: the radius in linf. To certify well at an epsilon, train
            with a slightly larger one.
        bounds: The lowest and the highest value of an input. Defaults to
            `(0.0, 1.0)`.
        method: "ibp", or "crown-ibp", which starts with linear bounds from the logits
            back, on intervals, and goes over to intervals while epsilon grows (Zhang
            et al., "Towards Stable and Efficient Training of Verifiably Robust Neural
            Networks", 2020). Defaults to `"ibp"`.
        warmup_steps: Integer >= 0: training steps on clean inputs only, before epsilon
            grows. Defaults to `0`.
        ramp_steps: Integer >= 0: training steps in which epsilon grows. Half of all
            steps is a good start. "crown-ibp" needs some. Defaults to `0`.
        kappa: Number in [0, 1): weight of the clean loss after the ramp. Defaults to
            `0.5`.
        name: Name of the model. Defaults to `"certified_trainer"`.

    Raises:
        ValueError: If an argument is invalid, or the model has a layer that no bounds
            are known for; in `compile`, if the loss does not take logits; in `fit`, if
            inputs are not within the bounds.

    Example:

    >>> from zoo import mlp
    >>> trainer = CertifiedTrainer(mlp((4,), 3), epsilon=0.1, ramp_steps=2)
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> trainer.compile("adam", loss, metrics=["accuracy"])
    >>> x, y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 3
    >>> history = trainer.fit(x, y, verbose=0)
    >>> sorted(history.history)
    ['accuracy', 'certified_accuracy', 'loss']
    """

    def __init__(
        self,
        model: keras.Model,
        epsilon: float,
        *,
        bounds: tuple[float, float] = (0.0, 1.0),
        method: str = "ibp",
        warmup_steps: int = 0,
        ramp_steps: int = 0,
        kappa: float = 0.5,
        name: str = "certified_trainer",
    ):
        super().__init__(model, name)
        self.bounds = check_bounds(bounds)
        check_positive("epsilon", epsilon)
        self.epsilon = check_epsilon(epsilon, "linf", self.bounds)
        self.method = check_choice("method", method, ("ibp", "crown-ibp"))
        self.warmup_steps = check_integer("warmup_steps", warmup_steps, minimum=0)
        self.ramp_steps = check_integer("ramp_steps", ramp_steps, minimum=0)
        self.kappa = check_fraction("kappa", kappa)
        if method == "crown-ibp" and not ramp_steps:
            fix = "Its linear bounds serve while epsilon grows."
            raise invalid_argument("ramp_steps", "steps >= 1", ramp_steps, fix)
        _check_ending(model)
        self._network = read_network(model)
        self._certified = keras.metrics.Mean(name="certified_accuracy")
        self.steps_done = self._add_state("steps_done", "zeros")
        self._watch(self.bounds)
        self.built = True

    def call(self, inputs, training=None):
        """Returns the model's one output."""
        return only(self.model(inputs, training=training))

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the loss of a training step, or the clean one in evaluation."""
        y, sample_weight = only(y), only(sample_weight)  # Keras builds with raw data
        loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        x, labels = self._see(x, y)
        share = self._begin_step() if training else 1.0
        is_label = ops.one_hot(labels, self._network.num_outputs, dtype="bool")
        lowest = self._margins(x, is_label, share, training)
        # The margin of the label to itself is zero, in exact arithmetic only.
        others = ops.where(is_label, np.inf, lowest)
        is_certified = ops.cast(ops.min(others, axis=1) > 0, DTYPE)
        self._certified.update_state(ops.stop_gradient(is_certified))
        if not training:
            return loss
        worst = ops.where(is_label, 0.0, -lowest)
        clean, robust = (
            self._compile_loss(y, outputs, sample_weight) for outputs in (y_pred, worst)
        )
        # `loss` has what layers and regularizers add, too.
        return loss + share * (1 - self.kappa) * (robust - clean)

    def get_config(self):
        return {
            "model": keras.saving.serialize_keras_object(self.model),
            "epsilon": self.epsilon,
            "bounds": self.bounds,
            "method": self.method,
            "warmup_steps": self.warmup_steps,
            "ramp_steps": self.ramp_steps,
            "kappa": self.kappa,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        model = keras.saving.deserialize_keras_object(config["model"], custom_objects)
        return cls(**{**config, "model": model, "bounds": tuple(config["bounds"])})

    def _begin(self, loss, metrics, weighted_metrics) -> None:
        if self._head.expected not in (None, LOGITS):
            fix = "Bounds of margins stand in for logits, in a cross-entropy."
            raise invalid_argument("loss", "a loss with from_logits=True", loss, fix)

    def _begin_step(self):
        """Counts the step, and returns what share of the ramp it has passed."""
        # Before the assignment, which on PyTorch changes the tensor that was read.
        share = self._share(ops.convert_to_tensor(self.steps_done))
        self.steps_done.assign(self.steps_done + 1)
        return share

    def _share(self, done):
        if not self.ramp_steps:
            return ops.cast(done >= self.warmup_steps, DTYPE)
        return ops.clip((done - self.warmup_steps) / self.ramp_steps, 0.0, 1.0)

    def _margins(self, x, is_label, share, training):
        """Returns lower bounds of the margins to all classes, in float32."""
        size = self._network.operations[0].size
        x = ops.reshape(ops.cast(x, DTYPE), (-1, size))
        ball = Ball(x, share * self.epsilon, "linf", self.bounds)
        # NOTE[DIFF] Batch normalization is bounded with its moving statistics, in
        # training too: that is the function that certificates are about.
        run = BoundPass(self._network, ball, DTYPE, with_rounding=False)
        bounds = interval_bounds(run)
        last = len(bounds) - 1
        of_label = ops.cast(is_label, DTYPE)[:, None]
        rows = of_label - ops.eye(self._network.num_outputs, dtype=DTYPE)
        lowest = lower_bounds(run, bounds, {}, last, rows)
        if self.method == "ibp" or not training:
            return lowest
        linear = lower_bounds(run, bounds, relax_all(run, bounds), last, rows)
        return share * lowest + (1 - share) * linear


def _check_ending(model) -> None:
    activation = find_logits(model)[1]
    if activation is not None or model.output_shape[-1] < 2:
        received = (
            f"{model.output_shape[-1]} outputs of {activation or 'no'} activation"
        )
        raise invalid_argument(
            "model",
            "a model that ends in logits of two classes at least",
            received,
            "End it in a linear layer, and compile with from_logits=True.",
        )
