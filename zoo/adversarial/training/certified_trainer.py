"""A model that trains a classifier to be certifiable, in `fit`."""

import keras
import numpy as np
from keras import ops

from ...backend.keras_internals import compiled_loss
from ...utils.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_positive,
    invalid_argument,
)
from ..attacks.attack_arguments import check_bounds, check_epsilon
from ..certification.bounds.ball import Ball
from ..certification.bounds.interval_bounds import BoundPass, interval_bounds
from ..certification.bounds.linear_bounds import lower_bounds
from ..certification.bounds.read_network import read_network
from ..certification.bounds.relaxations import relax_all
from ..classifier.expected_outputs import LOGITS, matching_loss
from ..classifier.float_inputs import only
from ..classifier.logits import find_logits
from ..norms import NORMS
from .checked_trainer import CheckedTrainer
from .ramp_guard import RampGuard

DTYPE = "float32"
METHODS = ("ibp", "crown-ibp", "crown")


@keras.saving.register_keras_serializable(package="kerascope")
class CertifiedTrainer(CheckedTrainer):
    """Trains a classifier so that bounds of its logits certify it, with Keras `fit`.

    Each step computes bounds for the worst-case logits in the ball around each example.
    The loss is `kappa` times the loss on clean inputs plus `1 - kappa` times the loss
    of the worst-case logits (equation 12 of Gowal et al., "On the Effectiveness of
    Interval Bound Propagation for Training Verifiably Robust Models", 2018). During
    `ramp_steps` training steps, epsilon grows from 0 to its full value, and the weight
    of the worst case from 0 to `1 - kappa`. Without this schedule, training often
    collapses to chance level. Steps are counted over all calls to `fit`, and a warning
    is logged if `fit` ends before epsilon reaches its full value. For networks that are
    trained with interval bounds, use the initial weights `zoo.adversarial.IBPNormal`.

    Training reports "certified_accuracy", the fraction of examples that the bounds of
    the training method certify at the current epsilon; for "crown-ibp", validation uses
    interval bounds. Validation and `evaluate` use the full epsilon;
    their "loss" is the loss on clean inputs. These values are computed in float32,
    without an allowance for rounding. Use `zoo.adversarial.certify` for certificates.

    The `model` attribute is the classifier that was passed to the trainer, which trains
    it in place. It can be saved on its own and then loaded without kerascope. The
    trainer, including its optimizer, can be saved like any other Keras model.

    Args:
        model: Built classifier with one input, which ends in logits for at least two
            classes, and whose layers `certify` supports.
        epsilon: Number > 0: radius of the ball, in the units of the inputs. To certify
            a model at some epsilon, train it with a slightly larger one.
        norm: "linf", "l2" or "l1". For l2 and l1, the bounds of the first layer ignore
            `bounds`, and later layers have the tightest bounds with `method="crown"`.
            Defaults to `"linf"`.
        bounds: Minimum and maximum allowed input values. Defaults to `(0.0, 1.0)`.
        method: "ibp", or one of two methods with linear bounds that are computed
            backwards from the logits (Zhang et al., "Towards Stable and Efficient
            Training of Verifiably Robust Neural Networks", 2020). "crown-ibp" gradually
            replaces them by interval bounds while epsilon grows. "crown" keeps them,
            which is slower. Defaults to `"ibp"`.
        warmup_steps: Integer >= 0: number of training steps on clean inputs before
            epsilon begins to grow. Defaults to `0`.
        ramp_steps: Integer >= 0: number of training steps in which epsilon grows. Half
            of all steps is a good first choice. At least 1 for "crown-ibp". Defaults to
            `0`.
        kappa: Float in [0, 1): weight of the clean loss after the ramp. Defaults to
            `0.5`.
        name: Name of the model. Defaults to `"certified_trainer"`.

    Raises:
        ValueError: If an argument is invalid, or if the model contains a layer that is
            not supported. `compile` raises this error if the loss does not expect
            logits; `fit` and `evaluate` raise it if inputs are outside the bounds or
            labels are invalid.

    Example:

    >>> from zoo import mlp
    >>> trainer = CertifiedTrainer(mlp((4,), 3), epsilon=0.1, ramp_steps=1)
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
        norm: str = "linf",
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
        self.norm = check_choice("norm", norm, NORMS)
        self.epsilon = check_epsilon(
            epsilon, norm, self.bounds, self.model.input_shape[1:]
        )
        self.method = check_choice("method", method, METHODS)
        self.warmup_steps = check_integer("warmup_steps", warmup_steps, minimum=0)
        self.ramp_steps = check_integer("ramp_steps", ramp_steps, minimum=0)
        self.kappa = check_fraction("kappa", kappa)
        if method == "crown-ibp" and not ramp_steps:
            fix = "Linear bounds are used only while epsilon grows."
            raise invalid_argument("ramp_steps", "an integer >= 1", ramp_steps, fix)
        _check_ending(model)
        self._network = read_network(model)
        self._certified = keras.metrics.Mean(name="certified_accuracy")
        self.steps_done = self.add_state("steps_done", "zeros")
        self.built = True

    def on_compile(self, loss, metrics, weighted_metrics):
        if self.head.expected not in (None, LOGITS):
            line = matching_loss(loss, self._network.num_outputs, from_logits=True)
            fix = f"The worst-case margins are passed to the loss as logits. {line}"
            raise invalid_argument("loss", "a loss with from_logits=True", loss, fix)

    def extra_callbacks(self):
        return [RampGuard()]

    def ramp_share(self, done):
        """Returns how much of the ramp is completed after `done` training steps.

        Args:
            done: Float tensor of shape `()`.

        Returns:
            A tensor between 0 and 1, by which a step multiplies epsilon.
        """
        if not self.ramp_steps:
            return ops.cast(done >= self.warmup_steps, DTYPE)
        return ops.clip((done - self.warmup_steps) / self.ramp_steps, 0.0, 1.0)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the training objective or, in evaluation, the loss on clean data."""
        y, sample_weight = only(y), only(sample_weight)  # Keras may pass dicts here
        inputs, labels = self.record(x, y)
        # This includes the losses added by layers and regularizers.
        loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        share = self._begin_step() if training else 1.0
        is_label = ops.one_hot(labels, self._network.num_outputs, dtype="bool")
        lowest = self._margins(inputs, is_label, share, training)
        # The margin between the label and itself is zero only in exact arithmetic.
        others = ops.where(is_label, np.inf, lowest)
        is_certified = ops.cast(ops.min(others, axis=1) > 0, DTYPE)
        self._certified.update_state(ops.stop_gradient(is_certified))
        if not training:
            return loss
        worst = ops.where(is_label, 0.0, -lowest)
        clean, robust = (
            compiled_loss(self)(y, outputs, sample_weight)
            for outputs in (y_pred, worst)
        )
        return loss + share * (1 - self.kappa) * (robust - clean)

    def get_config(self):
        return {
            "model": keras.saving.serialize_keras_object(self.model),
            "epsilon": self.epsilon,
            "norm": self.norm,
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

    def _begin_step(self):
        """Counts a training step; returns the completed fraction of the ramp."""
        # On PyTorch, the assignment also changes the tensor, so it must be used before.
        share = self.ramp_share(ops.convert_to_tensor(self.steps_done))
        self.steps_done.assign(self.steps_done + 1)
        return share

    def _margins(self, x, is_label, share, training):
        """Returns lower bounds for the margins of all classes, in float32."""
        size = self._network.operations[0].size
        x = ops.reshape(ops.cast(x, DTYPE), (-1, size))
        ball = Ball(x, share * self.epsilon, self.norm, self.bounds)
        # NOTE[DIFF] Batch normalization is bounded with its moving statistics, even in
        # training, because certificates refer to inference mode.
        run = BoundPass(self._network, ball, DTYPE, with_rounding=False)
        bounds = interval_bounds(run)
        last = len(bounds) - 1
        of_label = ops.cast(is_label, DTYPE)[:, None]
        rows = of_label - ops.eye(self._network.num_outputs, dtype=DTYPE)
        if self.method == "crown":
            return lower_bounds(run, bounds, relax_all(run, bounds), last, rows)
        lowest = lower_bounds(run, bounds, {}, last, rows)
        if self.method == "ibp" or not training:
            return lowest
        linear = lower_bounds(run, bounds, relax_all(run, bounds), last, rows)
        return share * lowest + (1 - share) * linear


def _check_ending(model) -> None:
    activation = find_logits(model)[1]
    if activation is not None or model.output_shape[-1] < 2:
        received = (
            f"{model.output_shape[-1]} outputs with {activation or 'no'} activation"
        )
        raise invalid_argument(
            "model",
            "a model that ends in logits for at least two classes",
            received,
            "End it in a layer such as keras.layers.Dense(2), without an activation. "
            + matching_loss(None, 2, from_logits=True),
        )
