"""A callback that passes hooks on to other callbacks."""

import functools

import keras


class CallbackGroup(keras.callbacks.Callback):
    """Calls the hooks of other callbacks.

    A subclass defines the hooks of training, and calls `pass_on` in them.

    Args:
        callbacks: List of callbacks, in the order in which they are called.

    Attributes:
        callbacks: The callbacks.
        called: The objects whose hooks are called. `show_rates` wraps some of them
            during `fit`.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback]):
        super().__init__()
        self.callbacks = callbacks
        self.called = list(callbacks)
        self._pass_on_if_needed()

    def add_first(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Adds callbacks that are called before all others.

        Must be called before `fit`.
        """
        self.callbacks[:0] = callbacks
        self._pass_on_if_needed()

    def set_params(self, params):
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def on_test_begin(self, logs=None):
        self.pass_on("on_test_begin", logs)

    def on_test_end(self, logs=None):
        self.pass_on("on_test_end", logs)

    def on_test_batch_begin(self, batch, logs=None):
        self.pass_on("on_test_batch_begin", batch, logs)

    def pass_on(self, hook: str, *arguments, **named) -> None:
        """Calls a hook of all callbacks."""
        for callback in self.called:
            getattr(callback, hook)(*arguments, **named)

    def _pass_on_if_needed(self) -> None:
        """Defines the hooks at the end of batches that any of the callbacks has.

        Keras waits for every step to end if a callback defines such a hook.
        """
        plain = keras.callbacks.Callback
        # By default, `on_train_batch_end` calls `on_batch_end`.
        aliases = {
            "on_batch_end": "on_train_batch_end",
            "on_train_batch_end": "on_train_batch_end",
            "on_test_batch_end": "on_test_batch_end",
        }
        for callback in self.callbacks:
            for name, hook in aliases.items():
                method = getattr(callback, name)
                if getattr(method, "__func__", method) is not getattr(plain, name):
                    setattr(self, hook, functools.partial(self.pass_on, hook))
