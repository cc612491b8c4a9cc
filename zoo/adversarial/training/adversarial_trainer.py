"""A model that trains a classifier on adversarial examples in `fit`."""

import contextlib
import warnings
from collections.abc import Callable

import keras
import numpy as np
from keras import ops
from keras.src.losses.loss import unscale_loss_for_distribution

from ...utils.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_positive,
    invalid_argument,
)
from .. import norms
from ..attacks import objectives
from ..attacks.attack import Attack
from ..classifier import compiled
from ..classifier.checks import (
    are_signed,
    check_inputs,
    check_labels,
    check_model,
    check_range,
)
from ..classifier.float_inputs import as_floats, graph_inputs, on_floats, only
from ..classifier.head import Head, contradiction, probe, read_head
from .multi_step_probe import MultiStepProbe, with_many_steps
from .robust_metrics import RobustMetrics
from .seen_labels import SeenGuard
from .training_guard import TrainingGuard


@keras.saving.register_keras_serializable(package="kerascope")
class AdversarialTrainer(keras.Model):
    """Trains a classifier on adversarial examples with Keras' own `fit`.

    Each step first attacks the batch, with the attack in its training mode and the
    model in inference mode. Keras then trains on the result. Callbacks, metrics, sample
    and class weights, mixed precision, gradient accumulation and distribution work as
    for any model.

    Training, validation and `evaluate` report every compiled metric twice: on clean
    inputs, such as "accuracy", and on adversarial inputs, such as "robust_accuracy".
    "robust_loss" is the compiled loss on adversarial inputs. "loss" is the minimized
    objective in training and the loss on clean inputs in `evaluate`. To stop before
    robust overfitting, monitor "val_robust_accuracy" (Rice, Wong & Kolter, 2020).

    `trainer.model` is the trained classifier, the same object that was passed. It can
    be saved, and loaded without kerascope. The trainer itself is saved like any Keras
    model, with its optimizer.

    Single-step training can suffer from catastrophic overfitting (Wong, Rice & Kolter,
    2020): the robust accuracy under the single step rises, while the robust accuracy
    under more steps falls to zero. A warning reports this. It is based on the
    multi-step attack in validation or, without one, on ten-step PGD on the last 64
    training examples of each epoch. Another warning reports that training has collapsed
    to chance level.

    Args:
        model: Built classifier with one input of floats, or of integers such as uint8
            images.
        attack: The training attack, such as `PGD(epsilon=0.1, steps=7)`. With
            `FGSM(epsilon, random_start=True)`, this is fast single-step training.
        objective: "standard" minimizes the compiled loss on adversarial examples
            (Madry et al., 2018, equation 2.1). "trades" minimizes the loss on clean
            examples plus `beta` times the divergence between clean and adversarial
            predictions, and its attack maximizes that divergence (Zhang et al., 2019,
            equation 5). Defaults to `"standard"`.
        validation_attack: The attack of validation and `evaluate`. It runs in its
            evaluation mode, which keeps the best of all steps and restarts. Defaults
            to `None`: `attack`, or ten-step `PGD` if `attack` takes a single step.
        clean_weight: Float in [0, 1): weight of the loss on clean examples in the
            standard objective. Defaults to `0.0`.
        beta: Number > 0: weight of the divergence in TRADES. Defaults to `6.0`.
        warmup_epochs: Integer >= 0: number of epochs with a reduced epsilon, which
            grows linearly to its full size. Defaults to `0`.
        clean_metrics: Whether training also reports metrics on clean inputs. This
            takes one more forward pass in the standard objective with a `clean_weight`
            of 0. Defaults to `True`.
        name: Name of the model. Defaults to `"adversarial_trainer"`.

    Raises:
        ValueError: If an argument is invalid. `compile` raises it if the loss
            contradicts the head of the model; `fit` and `evaluate` raise it if inputs
            are outside the bounds of the attack or labels are invalid.

    Example:

    >>> from zoo import mlp
    >>> from zoo.adversarial import PGD
    >>> trainer = AdversarialTrainer(mlp((4,), 3), PGD(epsilon=0.1, steps=3))
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> trainer.compile("adam", loss, metrics=["accuracy"])
    >>> x, y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 3
    >>> history = trainer.fit(x, y, verbose=0)
    >>> sorted(history.history)
    ['accuracy', 'loss', 'robust_accuracy', 'robust_loss']
    """

    def __init__(
        self,
        model: keras.Model,
        attack: Attack,
        objective: str = "standard",
        *,
        validation_attack: Attack | None = None,
        clean_weight: float = 0.0,
        beta: float = 6.0,
        warmup_epochs: int = 0,
        clean_metrics: bool = True,
        name: str = "adversarial_trainer",
    ):
        check_model(model)
        # The model's own layers cast their inputs.
        super().__init__(name=name, dtype=model.dtype_policy, autocast=False)
        self.objective = check_choice("objective", objective, ("standard", "trades"))
        self.clean_weight = check_fraction("clean_weight", clean_weight)
        self.beta = check_positive("beta", beta)
        self.warmup_epochs = check_integer("warmup_epochs", warmup_epochs, minimum=0)
        self.clean_metrics = check_choice("clean_metrics", clean_metrics, (True, False))
        self.attack = _check_attack("attack", attack, model)
        self.validation_attack = validation_attack
        if validation_attack is not None:
            _check_attack("validation_attack", validation_attack, model)
        if objective == "trades" and not attack.random_start:
            raise invalid_argument(
                "attack",
                "an attack with a random start, for TRADES",
                attack,
                "At the input itself, the gradient of the divergence is zero.",
            )
        if objective == "trades" and clean_weight:
            fix = "In TRADES, `beta` sets the trade-off with the clean loss."
            raise invalid_argument("clean_weight", "0 with TRADES", clean_weight, fix)
        self.model = model
        self._call_on_floats = on_floats(model)
        self._head: Head | None = None
        self._logits: Callable | None = None
        self._noise_seed = keras.random.SeedGenerator(attack.seed)
        self.epsilon_scale = self._add_state("epsilon_scale", "ones")
        self.input_range = [
            self._add_state(name, keras.initializers.Constant(value))
            for name, value in (("lowest", np.inf), ("highest", -np.inf))
        ]
        self._robust: RobustMetrics | None = None
        inputs = getattr(model, "inputs", None)
        self._probe = None
        if attack.steps == 1 and inputs and None not in inputs[0].shape[1:]:
            self._probe = MultiStepProbe(model, attack)
        self._divergence = _Divergence(name="divergence")
        self.built = True

    def call(self, inputs, training=None):
        """Returns the model's output, or a dict of outputs for a dict of inputs."""
        if _is_pair(inputs):
            return {
                key: self._call_on_floats(x, training=training)
                if key == "adversarial"
                else only(self.model(x, training=training))
                for key, x in inputs.items()
            }
        return only(self.model(inputs, training=training))

    def compute_output_shape(self, input_shape):
        return only(self.model.compute_output_shape(input_shape))

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        **options,
    ):
        """Configures training like `keras.Model.compile`.

        If the model returns a dict with one output, losses and metrics may be dicts.
        """
        loss, loss_weights = only(loss), only(loss_weights)
        metrics, weighted_metrics = (
            only(some) if isinstance(some, dict) else some
            for some in (metrics, weighted_metrics)
        )
        super().compile(
            optimizer,
            loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            **options,
        )
        self._robust = RobustMetrics(metrics, weighted_metrics)
        self._read_head(loss)

    def _read_head(self, loss) -> None:
        """Determines the head of the model, and raises if the loss contradicts it."""
        num_outputs, outputs = probe(self.model, self.attack.bounds)
        metrics = compiled.user_metrics(self)
        head = read_head(self.model, num_outputs, outputs, loss=loss, metrics=metrics)
        if contradiction(head, self.model, outputs):
            ending = f"a {head.activation}" if head.activation else "logits"
            raise invalid_argument(
                "loss",
                f"a loss with from_logits={not head.activation}, since the model ends "
                f"in {ending}",
                loss,
            )
        others = [t for t in compiled.thresholds(metrics) if t != head.threshold]
        if num_outputs == 1 and others:
            warnings.warn(
                f"The compiled accuracy has a threshold of {others[0]:g}, but with "
                f"this loss the model predicts class 1 above {head.threshold:g}. The "
                "accuracy does not measure the predictions that are attacked. Pass "
                f"`keras.metrics.BinaryAccuracy(threshold={head.threshold:g})`.",
                stacklevel=3,
            )
        self._head, self._logits = head, head.logits_of(self.model)

    def compile_from_config(self, config):
        """Compiles the trainer with a saved compile configuration."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **options,
    ):
        """Trains like `keras.Model.fit`, and returns its `History`.

        Raises:
            ValueError: If inputs or labels are invalid. NumPy arrays are checked
                before training, other data after the first batch and after every
                epoch.
        """
        self._assert_is_compiled("fit")
        self._check_arrays(x, y)
        if isinstance(options.get("validation_data"), tuple):
            self._check_arrays(*options["validation_data"][:2])
        self._forget_seen()
        guard = TrainingGuard(
            self.warmup_epochs,
            max(2, self._head.num_outputs),
            self.attack.steps == 1,
            self._probe,
        )
        others = keras.tree.flatten(callbacks) if callbacks else ()
        callbacks = [SeenGuard(), guard, *others]
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            **options,
        )

    def evaluate(self, x=None, y=None, *arguments, callbacks=None, **options):
        """Evaluates like `keras.Model.evaluate`, on clean and adversarial inputs.

        Raises:
            ValueError: If inputs or labels are invalid.
        """
        self._assert_is_compiled("evaluate")
        is_validation = isinstance(callbacks, keras.callbacks.CallbackList)
        if not is_validation:
            self._check_arrays(x, y)
            self._forget_seen()
        results = super().evaluate(x, y, *arguments, callbacks=callbacks, **options)
        self.check_seen()
        return results

    def check_seen(self) -> None:
        """Raises if an input or label was invalid since `fit` or `evaluate` began."""
        low, high = (float(ops.convert_to_numpy(seen)) for seen in self.input_range)
        check_range(low, high, self.attack.bounds)
        if self._robust is not None and self._head is not None:
            self._robust.labels.check(self._head)

    def train_step(self, *arguments):
        return self._step(super().train_step, self._attack_in_training, arguments)

    def test_step(self, *arguments):
        return self._step(super().test_step, self._attack_in_evaluation, arguments)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **options):
        """Returns the training objective, or the compiled loss in evaluation."""
        y, sample_weight = only(y), only(sample_weight)  # Keras passes raw data here
        if not _is_pair(y_pred):
            return super().compute_loss(x, y, y_pred, sample_weight, **options)
        robust, clean = y_pred["adversarial"], y_pred.get("clean")
        if clean is None:
            return super().compute_loss(x, y, robust, sample_weight, **options)
        # This includes the losses added by layers and regularizers.
        loss = super().compute_loss(x, y, clean, sample_weight, **options)
        if self.objective == "trades":
            logits = [self._head.to_logits(part) for part in (clean, robust)]
            return loss + self.beta * self._divergence(*logits, sample_weight)
        difference = self._compile_loss(y, robust, sample_weight) - self._compile_loss(
            y, clean, sample_weight
        )
        return loss + (1 - self.clean_weight) * difference

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the clean metrics and, in training, those on adversarial inputs."""
        y, sample_weight = only(y), only(sample_weight)
        clean = y_pred
        if _is_pair(y_pred):
            self._update_robust(y, y_pred["adversarial"], sample_weight)
            clean = y_pred.get("clean")
        some = y_pred["adversarial"] if clean is None else clean
        for metrics in (self._compile_metrics, self._robust.compiled):
            if metrics is not None and not metrics.built:
                metrics.build(y, some)
        in_training = _is_pair(y_pred)
        if clean is not None and (self.clean_metrics or not in_training):
            self._update_clean(y, clean, sample_weight)
        results = self.get_metrics_result()
        if in_training and not self.clean_metrics and self._compile_metrics:
            for name in self._compile_metrics.result():
                del results[name]
        return results

    @property
    def metrics(self):
        robust = getattr(self, "_robust", None)
        probe = getattr(self, "_probe", None)
        return (
            super().metrics
            + (robust.list() if robust else [])
            + ([probe.metric] if probe else [])
        )

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        validation = self.validation_attack
        return {
            "model": serialize(self.model),
            "attack": serialize(self.attack),
            "objective": self.objective,
            "validation_attack": None if validation is None else serialize(validation),
            "clean_weight": self.clean_weight,
            "beta": self.beta,
            "warmup_epochs": self.warmup_epochs,
            "clean_metrics": self.clean_metrics,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            key: keras.saving.deserialize_keras_object(config[key], custom_objects)
            for key in ("model", "attack", "validation_attack")
        }
        return cls(**{**config, **parts})

    def _step(self, step: Callable, prepare: Callable, arguments):
        """Attacks a batch, and runs a training or test step of Keras on the result."""
        if keras.backend.backend() != "jax":
            with _without_gradients():
                data = prepare(arguments[0])
            return step(data)
        state, data = arguments
        variables = [self.trainable_variables, self.non_trainable_variables]
        if len(state) == 4:
            variables.append(self.optimizer.variables)
        variables.append(self.metrics_variables)
        pairs = [
            pair
            for some, values in zip(variables, state, strict=True)
            for pair in zip(some, values, strict=True)
        ]
        with keras.StatelessScope(pairs) as scope:
            data = prepare(data)
        state = tuple([scope.get_current_value(v) for v in some] for some in variables)
        return step(state, data)

    def _attack_in_training(self, data):
        x, y, sample_weight = _unpack(data)
        floats, labels = self._see(x, y)
        if self._probe is not None:
            self._probe.metric.update_state(floats, labels)
        if self.objective == "trades":
            clean_logits = ops.stop_gradient(self._logits(floats))

            def objective(logits):
                return objectives.divergence(logits, clean_logits)

        else:
            objective = self.attack.objective(self._logits, floats, labels)
        adversarial = self.attack.perturb(
            self._logits,
            floats,
            objective,
            noise=self.attack.noise_for_batch(floats, self._noise_seed),
            scale=ops.convert_to_tensor(self.epsilon_scale),
        )
        inputs = {"adversarial": adversarial}
        if self.objective == "trades" or self.clean_weight:
            inputs = {"clean": x, **inputs}
        elif self.clean_metrics:
            self._update_clean(y, only(self.model(x, training=False)), sample_weight)
        return inputs, y, sample_weight

    def _attack_in_evaluation(self, data):
        x, y, sample_weight = _unpack(data)
        adversarial = self._best_adversarial(*self._see(x, y))
        outputs = self._call_on_floats(adversarial, training=False)
        self._update_robust(y, outputs, sample_weight)
        return x, y, sample_weight

    def _best_adversarial(self, x, labels):
        """Runs the validation attack; keeps the best restart for each example."""
        attack = self._attack_of_validation()
        settings = attack.settings()
        inputs = ops.cast(x, "float32")
        best, objective = inputs, None
        active = ops.logical_not(attack.is_successful(self._logits(inputs), labels))
        for restart in range(attack.restarts):
            noise = attack.noise_for_batch(inputs, attack.seed + restart)
            points, found, values = attack.search(
                self._logits, inputs, labels, active, restart, noise, settings
            )
            better = active if objective is None else found | (values > objective)
            best = ops.where(norms.expand(better, x), points, best)
            objective = values if objective is None else ops.maximum(objective, values)
            active = active & ~found
        return as_floats(best, x)

    @property
    def head(self) -> Head | None:
        """The meaning of the model's outputs; `None` before `compile`."""
        return self._head

    @property
    def validates_with_one_step(self) -> bool:
        """Whether the validation attack takes a single step."""
        return self._attack_of_validation().steps == 1

    def _attack_of_validation(self) -> Attack:
        if self.validation_attack is not None:
            return self.validation_attack
        if self.attack.steps > 1:
            return self.attack
        return with_many_steps(self.attack)

    def _see(self, x, y):
        """Converts a batch to floats and classes, and records the extremes of both.

        A compiled step cannot raise an error for invalid values; `check_seen` does.
        """
        x = as_floats(only(x), only(x))
        lowest, highest = self.input_range
        lowest.assign(ops.minimum(lowest, ops.cast(ops.min(x), "float32")))
        highest.assign(ops.maximum(highest, ops.cast(ops.max(x), "float32")))
        num_outputs, shape = self._head.num_outputs, tuple(y.shape)
        is_one_hot = len(shape) == 2 and shape[1] == num_outputs and num_outputs > 1
        if len(shape) == 2 and shape[1] == 1:
            y = ops.squeeze(y, axis=1)
        elif len(shape) != 1 and not is_one_hot:
            expected = f"classes of shape (batch,) or (batch, {num_outputs})"
            raise invalid_argument("y", expected, shape)
        self._robust.labels.update_state(y)
        if is_one_hot:
            return x, ops.argmax(ops.cast(y, "float32"), axis=1)
        if num_outputs == 1:
            return x, ops.cast(y > 0, "int32")
        # Invalid labels must not cause an index error here; `check_seen` reports them.
        return x, ops.clip(ops.cast(y, "int32"), 0, num_outputs - 1)

    def _forget_seen(self) -> None:
        for value, start in zip(self.input_range, (np.inf, -np.inf), strict=True):
            value.assign(start)
        if self._robust is not None:
            self._robust.labels.clear()

    def _update_clean(self, y, outputs, sample_weight):
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, outputs, sample_weight)

    def _update_robust(self, y, outputs, sample_weight):
        loss = unscale_loss_for_distribution(
            self._compile_loss(y, outputs, sample_weight)
        )
        self._robust.update(loss, y, outputs, sample_weight)

    def _assert_is_compiled(self, method: str) -> None:
        if self._head is None:
            fix = f"Call `compile()` before `{method}()`."
            raise invalid_argument("self", "a compiled trainer", self.name, fix)

    def _check_arrays(self, x, y):
        x, y = only(x), only(y)
        if not isinstance(x, np.ndarray) or y is None:
            return
        x = check_inputs(x, self.attack.bounds)
        y = np.asarray(ops.convert_to_numpy(y))
        if are_signed(y) and self._head.expected != compiled.MARGINS:
            expected = "labels 0 and 1, unless the loss is a hinge loss"
            raise invalid_argument("y", expected, "-1 and 1", "Pass `(y + 1) / 2`.")
        check_labels(y, len(x), self._head)

    def _add_state(self, name, initializer):
        return self.add_weight(
            (),
            initializer=initializer,
            trainable=False,
            dtype="float32",
            aggregation="only_first_replica",
            name=name,
        )


class _Divergence(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return objectives.divergence(y_pred, y_true)


def _unpack(data) -> tuple:
    """Returns inputs, labels and weights; unpacks labels and weights in a dict."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    return x, only(y), only(sample_weight)


def _is_pair(values) -> bool:
    """Returns whether `values` is a dict of adversarial and perhaps clean tensors."""
    return isinstance(values, dict) and "adversarial" in values


def _check_attack(name: str, attack, model: keras.Model) -> Attack:
    if not isinstance(attack, Attack) or attack.targeted:
        expected = "an attack that is not targeted, such as PGD(epsilon=0.1, steps=7)"
        raise invalid_argument(name, expected, attack)
    inputs = graph_inputs(model)
    shape: tuple = inputs[0].shape[1:] if inputs else (None,)
    if None not in shape:
        attack.check_shape(shape)
    return attack


def _without_gradients():
    """Returns a context in which PyTorch records no operations for gradients."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
