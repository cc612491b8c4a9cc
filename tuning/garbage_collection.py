"""What a trial leaves behind is removed before the next one."""

import gc

import keras

from zoo.backend import gradient_registry


class GarbageCollection:
    """Removes what trials leave behind, fast enough to do so after each.

    A process with TensorFlow has a million objects to look through, a quarter of a
    second each time; the ones of a trial are few. As a context it leaves what is there
    before the first model out of garbage collection. Where no model is built, it does
    nothing.

    TensorFlow 2.21 also keeps every graph in which a custom gradient was made, as
    Keras' optimizers make them, with the weights that it read: in a registry that
    nothing empties, 16 MB for a model of 3 MB. What trials have put there is removed.
    """

    def __init__(self):
        self._known = _custom_gradients(gradient_registry())
        self._is_due = self._has_frozen = False

    def __enter__(self) -> "GarbageCollection":
        self._known = _custom_gradients(gradient_registry())
        self._is_due = not gc.get_freeze_count()  # else someone else has done so
        self._has_frozen = False
        return self

    def __exit__(self, *exception) -> None:
        if self._has_frozen:
            gc.unfreeze()

    def collect(self) -> None:
        """Removes what no model needs that is still there."""
        if self._is_due:
            self._is_due, self._has_frozen = False, True
            gc.collect()
            gc.freeze()
        registry = gradient_registry()
        for name in _custom_gradients(registry) - self._known:
            del registry[name]
        keras.backend.clear_session()  # collects garbage, too


def _custom_gradients(registry: dict) -> set[str]:
    return {name for name in registry if name.startswith("CustomGradient-")}
