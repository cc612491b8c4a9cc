"""Signals that ask a training run to end."""

import signal
import sys
import threading
import weakref

from .fit_call import is_in_fit

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Holds back SIGINT and SIGTERM while a model trains, until they are delivered.

    The first signal is only recorded, and the second takes effect immediately. Keras
    calls no hooks after an exception, so the handlers may remain in place after `fit`
    fails. In that case, they restore the original handlers when the next signal
    arrives, and pass this signal on.

    Signals can be handled only in the main thread. In other threads, this class does
    nothing.

    Args:
        model: Model that is trained.

    Attributes:
        received: Number of the signal that was received, or `None`.
    """

    def __init__(self, model):
        self._model = weakref.ref(model)
        self._previous: dict = {}
        self.received: int | None = None
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                # A handler that was not installed by Python cannot be restored.
                if signal.getsignal(number) is not None:
                    self._previous[number] = signal.signal(number, self._note)

    def remove(self) -> None:
        """Restores the original handlers."""
        for number, handler in self._previous.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        self._previous = {}

    def deliver(self) -> None:
        """Restores the original handlers, and raises the signal that was received."""
        self.remove()
        number, self.received = self.received, None
        if number is not None:
            signal.raise_signal(number)

    def _note(self, number, frame):
        is_training = is_in_fit(self._model(), frame or sys._getframe())
        repeated, self.received = self.received is not None, number
        if repeated or not is_training:
            self.deliver()
