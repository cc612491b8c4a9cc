"""A model that trains a classifier on adversarial examples in `fit`."""

from collections.abc import Callable

import keras
from keras import ops

from ... import backend
from ...backend.keras_internals import compiled_loss, compiled_metrics
from ...utils.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_positive,
    invalid_argument,
)
from ..attacks.attack import Attack
from ..attacks.search import search_all_restarts
from ..classifier.float_inputs import as_floats, on_floats, only, unpack_batch
from .check_attack import check_attack
from .checked_trainer import CheckedTrainer
from .loss_labels import check_labels_of_loss
from .multi_step_probe import make_probe, with_many_steps
from .robust_metrics import RobustMetrics
from .training_batch import TrainingBatch
from .training_guard import TrainingGuard
from .training_objectives import make_objective


@keras.saving.register_keras_serializable(package="kerascope")
class AdversarialTrainer(CheckedTrainer):
    """Trains a classifier on adversarial examples with the Keras `fit` method.

    Each step first attacks the batch, with the attack in its training mode and the
    model in inference mode. Keras then trains on the result. Callbacks, metrics, sample
    and class weights, mixed precision, gradient accumulation and distribution work as
    they do for any other model.

    Training, validation and `evaluate` report two values for every metric: for example,
    "accuracy" on clean inputs and "robust_accuracy" on adversarial inputs.
    "robust_loss" is the loss on adversarial inputs. During training, "loss" is the
    objective that is minimized; in validation and `evaluate`, it is the loss on clean
    inputs. To stop training before robust overfitting sets in, monitor
    "val_robust_accuracy" (Rice, Wong & Kolter, 2020).

    The `model` attribute is the classifier that was passed to the trainer, which trains
    it in place. It can be saved on its own and then loaded without kerascope. The
    trainer, including its optimizer, can be saved like any other Keras model.

    Single-step training can suffer from catastrophic overfitting (Wong, Rice & Kolter,
    2020): the robust accuracy under a single-step attack rises, while the robust
    accuracy under a multi-step attack falls to zero. The trainer warns if this happens.
    To detect catastrophic overfitting, the trainer uses the results of validation with
    a multi-step attack. Without such results, it runs ten-step PGD on the last 64
    training examples of each epoch. The trainer also warns if training has collapsed to
    chance level.

    Args:
        model: Built classifier with one input, which may be a float or an integer
            tensor (for example, uint8 images).
        attack: Attack used in training, such as `PGD(epsilon=0.1, steps=7)`. Use
            `FGSM(epsilon, random_start=True)` for fast single-step training.
        objective: "standard" minimizes the loss on adversarial examples (Madry et al.,
            2018, equation 2.1). "trades" minimizes the loss on clean examples plus
            `beta` times the divergence between clean and adversarial predictions; the
            attack then maximizes that divergence (Zhang et al., 2019, equation 5).
            Defaults to `"standard"`.
        validation_attack: Attack used in validation and `evaluate`. It runs in
            evaluation mode, which keeps the best result of all steps and restarts.
            Defaults to `None`: `attack`, or ten-step `PGD` if `attack` takes a single
            step.
        clean_weight: Float in [0, 1): weight of the loss on clean examples in the
            standard objective. Defaults to `0.0`.
        beta: Number > 0: weight of the divergence in TRADES. Must be `None` with the
            standard objective. Defaults to `None`: 6 with TRADES.
        warmup_epochs: Integer >= 0: number of initial epochs with a reduced epsilon,
            which grows linearly to its full value. Defaults to `0`.
        clean_metrics: Whether training also reports metrics on clean inputs. With the
            standard objective and a `clean_weight` of 0, this requires an additional
            forward pass in each step. Defaults to `True`.
        name: Name of the model. Defaults to `"adversarial_trainer"`.

    Raises:
        ValueError: If an argument is invalid. `compile` raises this error if the loss
            does not match the head (the final activation) of the model; `fit` and
            `evaluate` raise it if inputs are outside the bounds of the attack, or if
            labels are invalid or do not have the shape that the loss needs.

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
        beta: float | None = None,
        warmup_epochs: int = 0,
        clean_metrics: bool = True,
        name: str = "adversarial_trainer",
    ):
        if isinstance(model, Attack) and isinstance(attack, keras.Model):
            fix = "Swap the arguments: `AdversarialTrainer(model, attack)`."
            raise invalid_argument("model", "a keras.Model that is built", model, fix)
        super().__init__(model, name)
        self.objective = check_choice("objective", objective, ("standard", "trades"))
        self.clean_weight = check_fraction("clean_weight", clean_weight)
        self.beta = None if beta is None else check_positive("beta", beta)
        self.warmup_epochs = check_integer("warmup_epochs", warmup_epochs, minimum=0)
        self.clean_metrics = check_choice("clean_metrics", clean_metrics, (True, False))
        self.attack = check_attack("attack", attack, model)
        self.bounds = attack.bounds
        self.validation_attack = validation_attack
        if validation_attack is not None:
            check_attack("validation_attack", validation_attack, model)
        self._objective = make_objective(objective, attack, clean_weight, beta)
        self._call_on_floats = on_floats(model)
        self._logits: Callable | None = None
        self._noise_seed = keras.random.SeedGenerator(attack.seed)
        self.epsilon_scale = self.add_state("epsilon_scale", "ones")
        self._robust: RobustMetrics | None = None
        self._probe = make_probe(model, attack)
        self.built = True

    def call(self, inputs, training=None):
        """Returns the output of the model, or a `TrainingBatch` in a training step."""
        if not isinstance(inputs, TrainingBatch):
            return super().call(inputs, training=training)
        clean = inputs.clean
        if clean is not None:
            clean = super().call(clean, training=training)
        adversarial = self._call_on_floats(inputs.adversarial, training=training)
        return TrainingBatch(adversarial, clean)

    def on_compile(self, loss, metrics, weighted_metrics):
        self._robust = RobustMetrics(compiled_loss(self), metrics, weighted_metrics)
        self._logits = self.head.logits_of(self.model)
        self._objective = make_objective(
            self.objective, self.attack, self.clean_weight, self.beta
        )

    def extra_callbacks(self):
        num_classes, single_step = self.head.num_classes, self.attack.steps == 1
        return [
            TrainingGuard(self.warmup_epochs, num_classes, single_step, self._probe)
        ]

    def train_step(self, *arguments):
        attack = self._attack_in_training
        return super().train_step(*backend.transform_batch(self, attack, arguments))

    def test_step(self, *arguments):
        attack = self._attack_in_evaluation
        return super().test_step(*backend.transform_batch(self, attack, arguments))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **options):
        """Returns the training objective or, in evaluation, the loss on clean data."""
        y, sample_weight = only(y), only(sample_weight)  # Keras may pass dicts here
        is_training = isinstance(y_pred, TrainingBatch)
        outputs = y_pred.main if is_training else y_pred
        # On JAX and PyTorch, Keras calls this method before the first step.
        check_labels_of_loss(y.shape, self.head)
        # This includes the losses added by layers and regularizers.
        loss = super().compute_loss(x, y, outputs, sample_weight, **options)
        if not is_training or y_pred.clean is None:
            return loss
        return loss + self._objective.adversarial_term(
            compiled_loss(self), self.head, y, y_pred, sample_weight
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics for a batch, and returns the results of all metrics.

        In evaluation, `test_step` has already updated the metrics on adversarial
        inputs.
        """
        y, sample_weight = only(y), only(sample_weight)
        is_training = isinstance(y_pred, TrainingBatch)
        if is_training:
            self._robust.update(y, y_pred.adversarial, sample_weight)
        clean = y_pred.clean if is_training else y_pred
        compiled = compiled_metrics(self)
        for metric in (compiled, self._robust.compiled):
            if metric is not None and not metric.built:
                metric.build(y, y_pred.main if is_training else y_pred)
        if clean is not None and (self.clean_metrics or not is_training):
            self._update_clean(y, clean, sample_weight)
        results = self.get_metrics_result()
        if is_training and not self.clean_metrics and compiled is not None:
            for name in compiled.result():
                del results[name]
        return results

    @property
    def metrics(self):
        # Keras reads this property before `__init__` has set the attributes.
        robust = getattr(self, "_robust", None)
        probe = getattr(self, "_probe", None)
        return (
            super().metrics
            + (robust.as_list() if robust else [])
            + ([probe.metric] if probe else [])
        )

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "model": serialize(self.model),
            "attack": serialize(self.attack),
            "objective": self.objective,
            "validation_attack": serialize(self.validation_attack),
            "clean_weight": self.clean_weight,
            "beta": self.beta,
            "warmup_epochs": self.warmup_epochs,
            "clean_metrics": self.clean_metrics,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        objects = {
            key: keras.saving.deserialize_keras_object(config[key], custom_objects)
            for key in ("model", "attack", "validation_attack")
        }
        return cls(**{**config, **objects})

    def _attack_in_training(self, batch):
        x, y, sample_weight = unpack_batch(batch)
        floats, labels = self.record(x, y)
        if self._probe is not None:
            self._probe.metric.update_state(floats, labels)
        adversarial = self.attack.perturb(
            self._logits,
            floats,
            self._objective.maximized(self.attack, self._logits, floats, labels),
            noise=self.attack.noise_for_batch(floats, self._noise_seed),
            scale=ops.convert_to_tensor(self.epsilon_scale),
        )
        if self._objective.uses_clean:
            return TrainingBatch(adversarial, x), y, sample_weight
        if self.clean_metrics:
            self._update_clean(y, only(self.model(x, training=False)), sample_weight)
        return TrainingBatch(adversarial), y, sample_weight

    def _attack_in_evaluation(self, batch):
        x, y, sample_weight = unpack_batch(batch)
        floats, labels = self.record(x, y)
        attack, inputs = self._attack_of_validation(), ops.cast(floats, "float32")
        best = search_all_restarts(attack, self._logits, inputs, labels)
        outputs = self._call_on_floats(as_floats(best, floats), training=False)
        self._robust.update(y, outputs, sample_weight)
        return x, y, sample_weight

    @property
    def validates_with_one_step(self) -> bool:
        """Whether the validation attack takes a single step."""
        return self._attack_of_validation().steps == 1

    def _attack_of_validation(self) -> Attack:
        if self.validation_attack is None and self.attack.steps == 1:
            return with_many_steps(self.attack)
        return self.validation_attack or self.attack

    def _update_clean(self, y, outputs, sample_weight):
        metrics = compiled_metrics(self)
        if metrics is not None:
            metrics.update_state(y, outputs, sample_weight)
