"""How the data of a training go on where they were."""

import collections
import warnings
import weakref
from collections.abc import Iterator

import keras

from zoo.datasets import ArrayDataset

from .fit_call import FitCall
from .training_state import random_state, set_random_state

_replayed = weakref.WeakSet()  # pipelines that a training of this process has iterated


class DataPosition:
    """Where the data of one `fit` are, and how to get there again.

    Data of `zoo.datasets` and arrays are set to an epoch, as their order is a function
    of a counter or of the global random generators. All other data are drawn again
    from the beginning of `fit`, without training on them.

    Args:
        call: The call of `fit`.
    """

    def __init__(self, call: FitCall):
        self._iterator = call.epoch_iterator
        self._order, self.is_replayed, self.doubt = _describe(call)
        # One pass may last for several epochs, or its length may not be known yet.
        arguments = call.arguments
        if arguments["steps_per_epoch"] or self._iterator.num_batches is None:
            self.is_replayed = True
        if self.is_replayed and self._order is None:
            self._note_use(call.dataset)

    def state(self) -> dict:
        """Returns the states of the random generators, and the counter of the order."""
        counter = None if self._order is None else self._order.counter
        return {"random": random_state(), "counter": counter}

    def set_state(self, state: dict) -> None:
        """Sets the random generators and the counter."""
        set_random_state(state["random"])
        if self._order is not None:
            self._order.counter = state["counter"]

    def replay_epochs(self, number: int) -> None:
        """Draws all batches of so many epochs, as `fit` does."""
        for _ in range(number):
            with self._iterator.catch_stop_iteration():
                for _, _, source in self._iterator:
                    if not self._draw(source):
                        raise StopIteration

    def skip_steps(self, number: int) -> None:
        """Makes the next epoch begin with this step, after drawing those before it."""
        # The steps of an epoch come from this method, in which `fit` cannot be told
        # to begin later. It is replaced for one epoch.
        iterator = self._iterator
        all_steps = iterator._enumerate_iterator

        def remaining_steps() -> Iterator:
            del iterator._enumerate_iterator
            for begin, end, source in all_steps():
                if begin >= number or not self._draw(source):
                    yield begin, end, source

        iterator._enumerate_iterator = remaining_steps

    def _draw(self, source) -> bool:
        """Draws the batches of one step; returns whether there were any."""
        if isinstance(source, list):  # PyTorch: drawn already
            return bool(source)
        steps = range(self._iterator.steps_per_execution)
        return bool(collections.deque(zip(steps, source, strict=False), maxlen=1))

    def _note_use(self, dataset) -> None:
        if dataset is None:
            return
        if dataset in _replayed:
            self.doubt = self.doubt or (
                "this pipeline has been iterated in this process before, and is not at "
                "its beginning. Make it again, or start the program again"
            )
        _replayed.add(dataset)


def warn_of_doubts(call: FitCall, position: DataPosition, *, is_resumed: bool) -> None:
    """Warns if data may come in another order than without an interruption.

    Code of the user's is doubted only when a training is resumed, as it may well give
    the same again; what cannot is said when the training begins.
    """
    doubts = {"data": position.doubt, "validation data": _validation_doubt(call)}
    for name, doubt in doubts.items():
        if doubt is not None and (is_resumed or not doubt.startswith("a ")):
            warnings.warn(
                f"The {name} may not come as they would without an interruption: "
                f"{doubt}. All else goes on exactly.",
                stacklevel=2,
            )


def _validation_doubt(call: FitCall) -> str | None:
    data = call.arguments["validation_data"]
    if hasattr(data, "element_spec"):
        _, is_varying, doubt = _describe_pipeline(data)
        if is_varying and doubt is None:
            doubt = "they are shuffled, and begin again with their first order"
        return doubt
    if isinstance(data, tuple | list | ArrayDataset) or data is None:
        return None
    return _python_source(data)


def _describe(call: FitCall) -> tuple:
    """Returns the order, whether data are drawn again, and what is not known."""
    x = call.arguments["x"]
    if isinstance(x, ArrayDataset):
        return x.order, False, None
    if hasattr(x, "element_spec"):
        return _describe_pipeline(x)
    if isinstance(x, keras.utils.PyDataset) or not _are_arrays(x):
        return None, True, _python_source(x)
    if call.dataset is not None and call.arguments["shuffle"]:
        return _describe_pipeline(call.dataset)
    return None, False, None


def _are_arrays(x) -> bool:
    leaves = [leaf for leaf in keras.tree.flatten(x) if leaf is not None]
    return all(
        hasattr(leaf, "shape") and hasattr(leaf, "__getitem__") for leaf in leaves
    )


def _python_source(x) -> str:
    return (
        f"a {type(x).__name__} is code of yours, which is run again from its "
        "beginning. It must give the same batches again"
    )


def _describe_pipeline(dataset) -> tuple:
    """The same for a `tf.data` pipeline, by its transformations."""
    if hasattr(dataset, "order"):  # of zoo.datasets
        return dataset.order, False, None
    # There is no public way to ask a pipeline for its transformations.
    if not hasattr(dataset, "_inputs") or not hasattr(dataset, "_functions"):
        return (
            None,
            True,
            f"the transformations of a {type(dataset).__name__} are hidden",
        )
    order, is_replayed, doubt = None, False, None
    for each in dataset._inputs():
        found, replayed, doubtful = _describe_pipeline(each)
        order, doubt = order or found, doubt or doubtful
        is_replayed |= replayed
    if hasattr(dataset, "_seed"):  # shuffles, or draws numbers
        is_replayed = True
        if not int(dataset._seed) and not int(getattr(dataset, "_seed2", 0)):
            doubt = "`shuffle` has no seed. Pass one: `shuffle(size, seed=0)`"
    for function in dataset._functions():
        for operation in function.function.graph.get_operations():
            # TensorFlow calls all datasets stateful; of those, a shuffle varies.
            is_fixed = "Dataset" in operation.type and "Shuffle" not in operation.type
            if operation.op_def.is_stateful and not is_fixed:
                is_replayed = True
                doubt = doubt or _doubt_of(operation, type(dataset).__name__)
    return order, is_replayed, doubt


def _doubt_of(operation, dataset: str) -> str | None:
    attributes = operation.node_def.attr
    if "seed" not in attributes:
        return f"a function calls {operation.type}, of which the result is not known"
    if not attributes["seed"].i and not attributes["seed2"].i:
        return (
            "a function draws random numbers without a seed. Call "
            "`keras.utils.set_random_seed` before making the data"
        )
    if "Parallel" in dataset:
        return "a function draws random numbers in parallel, in any order"
    return None
