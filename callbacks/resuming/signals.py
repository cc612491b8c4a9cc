"""Signals that ask a training to end."""

import signal
import sys
import threading
import weakref

from .fit_call import fit_frame

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Notes SIGINT and SIGTERM while a model trains, until they are delivered.

    A second signal acts at once. After an exception, of which Keras tells no
    callback, the handlers are still there: they find that `fit` does not run, go, and
    pass the signal on.

    Args:
        model: The model.

    Attributes:
        received: Number of the signal that came, or `None`.
    """

    def __init__(self, model):
        self._model = weakref.ref(model)
        self._previous = {}
        self.received = None
        if threading.current_thread() is threading.main_thread():
            for number in NUMBERS:
                self._previous[number] = signal.signal(number, self._note)

    def remove(self) -> None:
        """Puts the handlers back that were there before."""
        for number, handler in self._previous.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        self._previous = {}

    def deliver(self) -> None:
        """Lets a signal that came do what it does without this object."""
        self.remove()
        if self.received is not None:
            signal.raise_signal(self.received)

    def _note(self, number, frame):
        is_running = fit_frame(self._model(), frame or sys._getframe()) is not None
        repeated, self.received = self.received is not None, number
        if repeated or not is_running:
            self.deliver()
