"""How the data of `fit` can be brought back to an earlier position."""

import weakref
from dataclasses import dataclass, replace

import keras

from zoo.backend.framework_internals import is_nondeterministic, pipeline_parts
from zoo.datasets import ArrayDataset, Order
from zoo.datasets.origin import origin_of

from .fit_call import FitCall


@dataclass(frozen=True)
class DataSource:
    """Describes a source of batches.

    Attributes:
        order: `Order` that determines the order of the examples, or `None`.
        is_replayed: Whether batches must be drawn again from the beginning of `fit`,
            because the order depends on what has been drawn before.
        doubt: Why the same batches may not come again, or `None` if they do.
        is_of_user: Whether code of the user generates the batches. Such code may well
            give the same batches again.
    """

    order: Order | None = None
    is_replayed: bool = False
    doubt: str | None = None
    is_of_user: bool = False


def training_source(call: FitCall) -> DataSource:
    """Describes the training data of a call to `fit`."""
    x = call.arguments["x"]
    if isinstance(x, ArrayDataset):
        return DataSource(x.order)
    if hasattr(x, "element_spec"):
        return pipeline_source(x)
    if isinstance(x, keras.utils.PyDataset) or not _are_arrays(x):
        return _source_of_user(x)
    if call.dataset is not None and call.arguments["shuffle"]:
        return pipeline_source(call.dataset)
    return DataSource()


def validation_source(call: FitCall) -> DataSource:
    """Describes the validation data, which are read from the beginning every time."""
    data = call.arguments["validation_data"]
    if hasattr(data, "element_spec"):
        source = pipeline_source(data)
        if source.is_replayed and source.doubt is None:
            doubt = "they are shuffled, and the order starts over"
            return replace(source, doubt=doubt)
        return source
    if isinstance(data, tuple | list | ArrayDataset) or data is None:
        return DataSource()
    return _source_of_user(data)


def pipeline_source(dataset) -> DataSource:
    """Describes a `tf.data` pipeline, according to its transformations."""
    origin = origin_of(dataset)
    if origin is not None:
        return DataSource(origin.order)
    kind = type(dataset).__name__
    parts = pipeline_parts(dataset)
    if parts is None:
        doubt = f"the transformations of a {kind} cannot be inspected"
        return DataSource(is_replayed=True, doubt=doubt)
    inputs, functions, seeds = parts
    sources = [pipeline_source(each) for each in inputs]
    if is_nondeterministic(dataset):
        doubt = f"a {kind} with `deterministic=False` gives elements in varying orders"
        sources.append(DataSource(is_replayed=True, doubt=doubt))
    if seeds:  # the transformation shuffles, or draws numbers
        missing = "`shuffle` has no seed. Use `shuffle(n, seed=0)`"
        sources.append(
            DataSource(is_replayed=True, doubt=None if any(seeds) else missing)
        )
    sources += [
        DataSource(is_replayed=True, doubt=_doubt_about(operation, kind))
        for function in functions
        for operation in function.function.graph.get_operations()
        if _varies(operation)
    ]
    return DataSource(
        next((each.order for each in sources if each.order), None),
        any(each.is_replayed for each in sources),
        next((each.doubt for each in sources if each.doubt), None),
    )


_iterated: weakref.WeakSet = weakref.WeakSet()


def note_use(dataset) -> str | None:
    """Notes that `fit` reads a `tf.data` pipeline from its beginning.

    Returns:
        Why the pipeline is not at its beginning: it has been noted before in this
        process, or it shares a shuffle with such a pipeline. Otherwise, `None`.
    """
    if dataset is None:
        return None
    was_iterated = False
    for part in [dataset, *_shuffles(dataset)]:
        was_iterated |= part in _iterated
        _iterated.add(part)
    if not was_iterated:
        return None
    return (
        "this pipeline has been iterated in this process before, so it is not at its "
        "beginning. Create it again, or restart the program"
    )


def _shuffles(dataset) -> list:
    """Returns the inputs of a pipeline that have seeds."""
    inputs = (pipeline_parts(dataset) or ([],))[0]
    with_seeds = [each for each in inputs if (pipeline_parts(each) or ((), (), ()))[2]]
    return with_seeds + [one for each in inputs for one in _shuffles(each)]


def _varies(operation) -> bool:
    """Returns whether an operation may give different results when it is repeated."""
    # All datasets are stateful operations, but of these, only a shuffle varies.
    is_fixed = "Dataset" in operation.type and "Shuffle" not in operation.type
    return operation.op_def.is_stateful and not is_fixed


def _doubt_about(operation, dataset: str) -> str | None:
    attributes = operation.node_def.attr
    if "seed" not in attributes:
        return f"a function calls {operation.type}, whose results are unknown"
    if not attributes["seed"].i and not attributes["seed2"].i:
        return (
            "a function draws random numbers without a seed. Call "
            "`keras.utils.set_random_seed` before creating the dataset"
        )
    if "Parallel" in dataset:
        return "a function draws random numbers in parallel, in no fixed order"
    return None


def _source_of_user(x) -> DataSource:
    doubt = (
        f"a {type(x).__name__} runs your own code, which starts over from its "
        "beginning. It must give the same batches again"
    )
    return DataSource(is_replayed=True, doubt=doubt, is_of_user=True)


def _are_arrays(x) -> bool:
    leaves = [leaf for leaf in keras.tree.flatten(x) if leaf is not None]
    return all(
        hasattr(leaf, "shape") and hasattr(leaf, "__getitem__") for leaf in leaves
    )
