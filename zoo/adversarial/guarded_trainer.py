"""What trainers of classifiers share: data that they cannot judge is refused."""

import keras
import numpy as np
from keras import ops

from ..arguments import invalid_argument
from . import compiled
from .checks import are_signed, check_inputs, check_labels, check_model
from .head import Head, contradiction, probe, read_head
from .model_call import only
from .seen_data import DataGuard, SeenData, add_state


class GuardedTrainer(keras.Model):
    """Trains a classifier that it holds, and checks the data.

    Arrays are checked before training. What a compiled step meets is looked at after
    the first batch and every epoch.

    Args:
        model: Built classifier of one input of floats.
        name: Name of the trainer.

    Attributes:
        model: The model as it was passed.
        head: How its outputs are read; `None` before `compile`.
    """

    def __init__(self, model: keras.Model, name: str):
        check_model(model)
        # The layers of the model cast their inputs themselves.
        super().__init__(name=name, dtype=model.dtype_policy, autocast=False)
        self.model = model
        self._head = self._seen = None

    @property
    def head(self) -> Head | None:
        return self._head

    @property
    def metrics(self):
        seen = getattr(self, "_seen", None)
        return super().metrics + ([seen.labels] if seen else [])

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
        """Configures training as `keras.Model.compile` does.

        Where the model returns a dict of one output, losses and metrics may be dicts.
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
        self._head = self._read_head(loss)
        self._begin(loss, metrics, weighted_metrics)

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
            ValueError: If inputs or labels are not what the trainer can take: before
                training if they are arrays, else after the first batch.
        """
        self._assert_is_compiled("fit")
        self._check_arrays(x, y)
        if isinstance(options.get("validation_data"), tuple):
            self._check_arrays(*options["validation_data"][:2])
        self._seen.clear()
        others = keras.tree.flatten(callbacks) if callbacks else ()
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=[DataGuard(), *self._guards(), *others],
            **options,
        )

    def evaluate(self, x=None, y=None, *arguments, callbacks=None, **options):
        """Evaluates as `keras.Model.evaluate` does.

        Raises:
            ValueError: If inputs or labels are not what the trainer can take.
        """
        self._assert_is_compiled("evaluate")
        is_validation = isinstance(callbacks, keras.callbacks.CallbackList)
        if not is_validation:
            self._check_arrays(x, y)
            self._seen.clear()
        results = super().evaluate(x, y, *arguments, callbacks=callbacks, **options)
        self.check_seen()
        return results

    def check_seen(self) -> None:
        """Raises if inputs or labels since `fit` or `evaluate` began were wrong."""
        self._seen.check(self._head)

    def _begin(self, loss, metrics, weighted_metrics) -> None:
        """Is called when the trainer is compiled, and its head is known."""

    def _guards(self) -> list[keras.callbacks.Callback]:
        """Returns what else watches `fit`."""
        return []

    def _watch(self, bounds: tuple[float, float]) -> None:
        """Adds the state that keeps what is seen, after that of the trainer's own."""
        self._seen = SeenData(self, bounds)

    def _see(self, x, y) -> tuple:
        """Returns a batch as floats and classes, and keeps the extremes of both."""
        return self._seen.add(x, y, self._head.num_outputs)

    def _add_state(self, name, initializer):
        return add_state(self, name, initializer)

    def _read_head(self, loss) -> Head:
        """Reads how outputs are meant, and raises if the loss means them otherwise."""
        num_outputs, outputs = probe(self.model, self._seen.bounds)
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
        return head

    def _assert_is_compiled(self, method: str) -> None:
        if self._head is None:
            fix = f"Call `compile()` before `{method}()`."
            raise invalid_argument("self", "a trainer that is compiled", self.name, fix)

    def _check_arrays(self, x, y):
        x, y = only(x), only(y)
        if not isinstance(x, np.ndarray) or y is None:
            return
        x = check_inputs(x, self._seen.bounds)
        y = np.asarray(ops.convert_to_numpy(y))
        if are_signed(y) and self._head.expected != compiled.MARGINS:
            expected = "labels 0 and 1, with a loss that is no hinge loss"
            raise invalid_argument("y", expected, "-1 and 1", "Pass `(y + 1) / 2`.")
        check_labels(y, len(x), self._head)
