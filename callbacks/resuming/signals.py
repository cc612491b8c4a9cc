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
    arrives, and pass this signal on. A later object replaces them, too. Signals that
    the process ignores remain ignored.

    Signals can be handled only in the main thread. In other threads, this class does
    nothing.

    Args:
        epoch_iterator: Keras' iterator over the steps, which identifies the call to
            `fit`.

    Attributes:
        received: Number of the signal that was received, or `None`.
    """

    def __init__(self, epoch_iterator):
        self._iterator = weakref.ref(epoch_iterator)
        self._previous: dict = {}
        self.received: int | None = None
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                owner = getattr(signal.getsignal(number), "__self__", None)
                if isinstance(owner, Signals) and not owner.is_training():
                    owner.remove()  # its `fit` has failed
                # A handler that was not installed by Python cannot be restored.
                if signal.getsignal(number) not in (None, signal.SIG_IGN):
                    self._previous[number] = signal.signal(number, self._note)

    def is_training(self) -> bool:
        """Returns whether the call to `fit` is running."""
        return is_in_fit(self._iterator(), sys._getframe())

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
        repeated, self.received = self.received is not None, number
        if repeated or not self.is_training():
            self.deliver()
