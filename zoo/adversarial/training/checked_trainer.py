"""Base class of trainers that check the inputs and labels they receive."""

import keras
import numpy as np

from ...backend.keras_internals import user_metrics
from ...utils.arguments import invalid_argument
from ...utils.member_model import MemberModel
from ..classifier.classifier_trainer import ClassifierTrainer
from ..classifier.float_inputs import only
from .array_checks import check_arrays
from .check_seen_data import CheckSeenData
from .compiled_head import compiled_head
from .loss_labels import check_labels_of_loss
from .seen_data import SeenData


class CheckedTrainer(ClassifierTrainer):
    """Trains a classifier, and rejects invalid inputs and labels.

    Subclasses set `bounds`, define the training step, and pass each batch to `record`.
    They can override `on_compile` and `extra_callbacks`.

    Args:
        model: Built classifier with one input.
        name: Name of the trainer.

    Attributes:
        bounds: Minimum and maximum allowed input values.

    Raises:
        ValueError: If gradient-based attacks do not support the model, or `zoo.mlp`
            built it with an `ensemble_size`.
    """

    bounds: tuple[float, float]

    def __init__(self, model: keras.Model, name: str):
        if isinstance(model, MemberModel):
            expected = "a model without members that have losses of their own"
            fix = "Build it without `ensemble_size`."
            raise invalid_argument("model", expected, model.name, fix)
        super().__init__(model, name)
        self._seen = SeenData(
            self.add_state("lowest", keras.initializers.Constant(np.inf)),
            self.add_state("highest", keras.initializers.Constant(-np.inf)),
        )

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        **options,
    ):
        """Configures the trainer like `keras.Model.compile`.

        If the model returns a dict with a single output, losses, loss weights and
        metrics may be dicts, too.
        """
        loss, loss_weights = only(loss), only(loss_weights)
        metrics, weighted_metrics = (
            only(some) if isinstance(some, dict) else some
            for some in (metrics, weighted_metrics)
        )
        super().compile(
            optimizer, loss, loss_weights, metrics, weighted_metrics, **options
        )
        self.head = compiled_head(self.model, self.bounds, loss, user_metrics(self))
        self.on_compile(loss, metrics, weighted_metrics)

    def on_compile(self, loss, metrics, weighted_metrics) -> None:
        """Called at the end of `compile`, when `head` is known.

        Args:
            loss: Loss that was passed to `compile`.
            metrics: Metrics that were passed to `compile`.
            weighted_metrics: Weighted metrics that were passed to `compile`.
        """

    def extra_callbacks(self) -> list[keras.callbacks.Callback]:
        """Returns additional callbacks for a call to `fit`."""
        return []

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
        """Trains the model like `keras.Model.fit`, and returns a `History`.

        Raises:
            ValueError: If inputs or labels are invalid. NumPy arrays are checked
                before training. Data of other types are checked after the first batch
                and after every epoch.
        """
        self.assert_is_compiled("fit")
        check_arrays(x, y, self.bounds, self.head)
        if isinstance(options.get("validation_data"), tuple):
            x_y = options["validation_data"][:2]
            check_arrays(*x_y, self.bounds, self.head)
        self._seen.clear()
        others = keras.tree.flatten(callbacks) if callbacks else ()
        callbacks = [CheckSeenData(), *self.extra_callbacks(), *others]
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **options)

    def evaluate(self, x=None, y=None, *arguments, callbacks=None, **options):
        """Evaluates the model.

        The arguments are the same as in `keras.Model.evaluate`.

        Raises:
            ValueError: If inputs or labels are invalid.
        """
        self.assert_is_compiled("evaluate")
        if not isinstance(callbacks, keras.callbacks.CallbackList):  # not within `fit`
            check_arrays(x, y, self.bounds, self.head)
            self._seen.clear()
        results = super().evaluate(x, y, *arguments, callbacks=callbacks, **options)
        self.check_seen()
        return results

    def record(self, x, y):
        """Records a batch for `check_seen`; returns inputs as floats, and classes.

        Raises:
            ValueError: If the loss does not support labels of this shape.
        """
        check_labels_of_loss(y.shape, self.head)
        return self._seen.record(x, y, self.head.num_outputs)

    def check_seen(self) -> None:
        """Raises an error if `fit` or `evaluate` has seen invalid inputs or labels."""
        if self.head is not None:
            self._seen.check(self.bounds, self.head)

    @property
    def metrics(self):
        # Keras reads this property before `__init__` has set the attributes.
        seen = getattr(self, "_seen", None)
        return super().metrics + ([seen.labels] if seen else [])
