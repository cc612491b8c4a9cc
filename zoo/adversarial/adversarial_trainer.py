"""Adversarial training as an ordinary `fit`."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from keras.src.losses.loss import unscale_loss_for_distribution
from keras.src.trainers.compile_utils import CompileMetrics

from ..arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_positive,
    invalid_argument,
)
from . import norms, objectives
from .attack import Attack
from .checks import check_inputs, check_labels, check_model
from .logits import as_classes, find_logits, log_probabilities
from .multi_step_probe import MultiStepProbe, with_many_steps
from .self_checks import expects_logits
from .training_guard import TrainingGuard


@keras.saving.register_keras_serializable(package="kerascope")
class AdversarialTrainer(keras.Model):
    """Trains a classifier on adversarial examples, through Keras' own `fit`.

    In every step the batch is attacked, in the training mode of the attack and the
    inference mode of the model, and then Keras trains on what was found: callbacks,
    metrics, sample and class weights, mixed precision, gradient accumulation and
    distribution are those of any model. Every compiled metric is reported twice: as
    "accuracy" on clean and as "robust_accuracy" on adversarial inputs, in training,
    validation and `evaluate`; so is the loss as "robust_loss". "loss" is what
    training minimises, and in `evaluate` the loss on clean inputs. To escape robust
    overfitting, monitor "val_robust_accuracy" (Rice, Wong & Kolter, 2020).

    `trainer.model` is the model as it was passed, trained, which saves and loads
    without kerascope. The trainer saves as any Keras model, with its optimizer.

    Single-step training can overfit catastrophically (Wong, Rice & Kolter, 2020): its
    own robust accuracy rises, while that under more steps falls to zero. A warning
    says so, from the multi-step attack in validation; without validation data, from
    PGD of ten steps on the last 64 training examples of each epoch. Another warning
    says when training has collapsed to chance.

    Args:
        model: Built classifier of one input of floats.
        attack: What is trained against, as `PGD(epsilon=0.1, steps=7)`. With
            `FGSM(epsilon, random_start=True)` it is fast single-step training.
        objective: "standard" minimises the compiled loss on adversarial examples
            (Madry et al., 2018, equation 2.1). "trades" adds to the loss on clean
            examples `beta` times the divergence between the predictions for both,
            which the attack maximises (Zhang et al., 2019, equation 5). Defaults to
            `"standard"`.
        validation_attack: Attack of validation and `evaluate`, in the evaluation
            mode: the best of all its steps and restarts. Defaults to `None`: `attack`,
            or with a single step a `PGD` of ten.
        clean_weight: Float in [0, 1): share of the loss on clean examples in the
            standard objective. Defaults to `0.0`.
        beta: Number > 0: weight of the divergence in TRADES. Defaults to `6.0`.
        warmup_epochs: Integer >= 0: epochs over which epsilon grows in equal parts to
            its full size. Defaults to `0`.
        clean_metrics: Whether training reports metrics on clean inputs too, for which
            the standard objective takes one more forward pass. Defaults to `True`.
        name: Name of the model. Defaults to `"adversarial_trainer"`.

    Raises:
        ValueError: If an argument is invalid; in `compile`, if the loss does not fit
            the head; in `fit`, if inputs are not within the bounds of the attack.

    Example:

    >>> from zoo import mlp
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
        # The layers of the model cast their inputs themselves.
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
                "At the input itself the divergence has no gradient.",
            )
        if objective == "trades" and clean_weight:
            fix = "TRADES weighs clean examples against `beta`."
            raise invalid_argument("clean_weight", "0 with TRADES", clean_weight, fix)
        self.model = model
        self._logits_of, self._activation = find_logits(model)
        self._noise_seed = keras.random.SeedGenerator(attack.seed)
        self.epsilon_scale = self._add_state("epsilon_scale", "ones")
        self.input_range = [
            self._add_state(name, keras.initializers.Constant(value))
            for name, value in (("lowest", np.inf), ("highest", -np.inf))
        ]
        self._robust = None
        inputs = getattr(model, "inputs", None)
        self._probe = None
        if attack.steps == 1 and inputs and None not in inputs[0].shape[1:]:
            self._probe = MultiStepProbe(model, attack)
        self._divergence = _Divergence(name="divergence")
        self.built = True

    def call(self, inputs, training=None):
        """Returns the model's outputs, for each entry where there are several."""
        if isinstance(inputs, dict):
            return {k: self.model(x, training=training) for k, x in inputs.items()}
        return self.model(inputs, training=training)

    def compute_output_shape(self, input_shape):
        return self.model.compute_output_shape(input_shape)

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        **options,
    ):
        """Configures training as `keras.Model.compile` does."""
        from_logits = expects_logits(loss)
        if from_logits is not None and from_logits == bool(self._activation):
            head = f"a {self._activation}" if self._activation else "logits"
            raise invalid_argument(
                "loss",
                f"a loss with from_logits={not from_logits}, since the model ends in "
                f"{head}",
                loss,
            )
        super().compile(
            optimizer,
            loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            **options,
        )
        self._robust = _RobustMetrics(metrics, weighted_metrics)

    def compile_from_config(self, config):
        """Compiles as the config of a saved trainer says."""
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
        """Trains as `keras.Model.fit` does, and returns its `History`.

        Raises:
            ValueError: If inputs or labels are not what the attack can take: before
                training if they are arrays, else after the first batch.
        """
        self._check_arrays(x, y)
        if isinstance(options.get("validation_data"), tuple):
            self._check_arrays(*options["validation_data"][:2])
        for value, start in zip(self.input_range, (np.inf, -np.inf), strict=True):
            value.assign(start)
        guard = TrainingGuard(
            self.warmup_epochs,
            self.attack.bounds,
            max(2, self.model.output_shape[-1]),
            self.attack.steps == 1,
            self._probe,
        )
        callbacks = [guard, *(keras.tree.flatten(callbacks) if callbacks else ())]
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            **options,
        )

    def train_step(self, *arguments):
        return self._step(super().train_step, self._attack_in_training, arguments)

    def test_step(self, *arguments):
        return self._step(super().test_step, self._attack_in_evaluation, arguments)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **options):
        """Returns the loss of a training step, or the compiled one in evaluation."""
        if not isinstance(y_pred, dict):
            return super().compute_loss(x, y, y_pred, sample_weight, **options)
        robust, clean = y_pred["adversarial"], y_pred.get("clean")
        if clean is None:
            return super().compute_loss(x, y, robust, sample_weight, **options)
        # With the clean predictions it has what layers and regularizers add.
        loss = super().compute_loss(x, y, clean, sample_weight, **options)
        if self.objective == "trades":
            logits = [self._to_logits(outputs) for outputs in (clean, robust)]
            return loss + self.beta * self._divergence(*logits, sample_weight)
        difference = self._compile_loss(y, robust, sample_weight) - self._compile_loss(
            y, clean, sample_weight
        )
        return loss + (1 - self.clean_weight) * difference

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics of clean, or in training of adversarial predictions."""
        clean = y_pred
        if isinstance(y_pred, dict):
            self._update_robust(y, y_pred["adversarial"], sample_weight)
            clean = y_pred.get("clean")
        some = y_pred["adversarial"] if clean is None else clean
        for metrics in (self._compile_metrics, self._robust.compiled):
            if metrics is not None and not metrics.built:
                metrics.build(y, some)
        in_training = isinstance(y_pred, dict)
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
        """Attacks a batch, and hands it to a step of Keras."""
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
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        lowest, highest = self.input_range
        lowest.assign(ops.minimum(lowest, ops.cast(ops.min(x), "float32")))
        highest.assign(ops.maximum(highest, ops.cast(ops.max(x), "float32")))
        labels = self._labels(x, y)
        if self._probe is not None:
            self._probe.metric.update_state(x, labels)
        if self.objective == "trades":
            clean_logits = ops.stop_gradient(self._logits(x))

            def objective(logits):
                return objectives.divergence(logits, clean_logits)

        else:
            objective = self.attack.objective(self._logits, x, labels)
        adversarial = self.attack.perturb(
            self._logits,
            x,
            objective,
            noise=self.attack.noise_for_batch(x, self._noise_seed),
            scale=ops.convert_to_tensor(self.epsilon_scale),
        )
        inputs = {"adversarial": adversarial}
        if self.objective == "trades" or self.clean_weight:
            inputs = {"clean": x, **inputs}
        elif self.clean_metrics:
            self._update_clean(y, self.model(x, training=False), sample_weight)
        return inputs, y, sample_weight

    def _attack_in_evaluation(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        adversarial = self._best_adversarial(x, self._labels(x, y))
        outputs = self.model(adversarial, training=False)
        self._update_robust(y, outputs, sample_weight)
        return x, y, sample_weight

    def _best_adversarial(self, x, labels):
        """The validation attack: over its restarts, what is best for each example."""
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
        return ops.cast(best, x.dtype)

    @property
    def validates_with_one_step(self) -> bool:
        """Whether validation, too, runs an attack of a single step."""
        return self._attack_of_validation().steps == 1

    def _attack_of_validation(self) -> Attack:
        if self.validation_attack is not None:
            return self.validation_attack
        if self.attack.steps > 1:
            return self.attack
        return with_many_steps(self.attack)

    def _logits(self, x):
        return as_classes(self._logits_of(x))

    def _to_logits(self, outputs):
        if self._activation is None:
            return as_classes(outputs)
        return as_classes(log_probabilities(outputs, self._activation))

    def _labels(self, x, y):
        """Integer labels of shape `(batch,)`, of one-hot ones too."""
        num_outputs = self.model.compute_output_shape(x.shape)[-1]
        shape = tuple(y.shape)
        if len(shape) == 2 and shape[1] == num_outputs and num_outputs > 1:
            return ops.argmax(y, axis=1)
        if len(shape) == 2 and shape[1] == 1:
            y = ops.squeeze(y, axis=1)
        elif len(shape) != 1:
            expected = f"classes of shape (batch,) or (batch, {num_outputs})"
            raise invalid_argument("y", expected, shape)
        return ops.cast(y, "int32")

    def _update_clean(self, y, outputs, sample_weight):
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, outputs, sample_weight)

    def _update_robust(self, y, outputs, sample_weight):
        loss = unscale_loss_for_distribution(
            self._compile_loss(y, outputs, sample_weight)
        )
        self._robust.update(loss, y, outputs, sample_weight)

    def _check_arrays(self, x, y):
        if not isinstance(x, np.ndarray) or y is None:
            return
        x = check_inputs(x, self.attack.bounds)
        check_labels(y, len(x), max(2, self.model.output_shape[-1]))

    def _add_state(self, name, initializer):
        return self.add_weight(
            (),
            initializer=initializer,
            trainable=False,
            dtype="float32",
            aggregation="only_first_replica",
            name=name,
        )


@dataclass
class _RobustMetrics:
    """Copies of the compiled metrics, for adversarial inputs."""

    compiled: CompileMetrics | None
    loss: keras.metrics.Mean

    def __init__(self, metrics, weighted_metrics):
        self.loss = keras.metrics.Mean(name="robust_loss")
        self.compiled = None
        if metrics is not None or weighted_metrics is not None:
            self.compiled = _Prefixed(_copies(metrics), _copies(weighted_metrics))

    def list(self) -> list:
        return [m for m in (self.loss, self.compiled) if m is not None]

    def update(self, loss, y, outputs, sample_weight):
        self.loss.update_state(loss, sample_weight=ops.shape(outputs)[0])
        if self.compiled is not None:
            self.compiled.update_state(y, outputs, sample_weight)


class _Prefixed(CompileMetrics):
    def result(self):
        return {f"robust_{key}": value for key, value in super().result().items()}


class _Divergence(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return objectives.divergence(y_pred, y_true)


def _copies(metrics):
    if metrics is None:
        return None
    return keras.tree.map_structure(
        lambda metric: (
            type(metric).from_config(metric.get_config())
            if isinstance(metric, keras.metrics.Metric)
            else metric
        ),
        metrics,
    )


def _check_attack(name: str, attack, model: keras.Model) -> Attack:
    if not isinstance(attack, Attack) or attack.targeted:
        expected = "an attack that is not targeted, as PGD(epsilon=0.1, steps=7)"
        raise invalid_argument(name, expected, attack)
    shape = model.inputs[0].shape[1:] if getattr(model, "inputs", None) else (None,)
    if None not in shape:
        attack.check_shape(shape)
    return attack


def _without_gradients():
    """On PyTorch whatever is computed would be kept for a gradient."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
