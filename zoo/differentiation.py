"""Differentiates and compiles functions on every backend, without side effects."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import keras

from . import backend
from .backend.keras_internals import compiled_loss, float64_operations
from .utils.arguments import check_choice, invalid_argument


def input_gradient(function: Callable, x, *, has_auxiliary: bool = False):
    """Differentiates the per-example values of a function with respect to its input.

    `function` returns one scalar per example, and the sum of these scalars is
    differentiated. If each scalar depends only on its own example, row `i` of the
    gradient is the gradient of scalar `i`. All variables keep their values: if
    `function` updates variables, such as batch statistics or random seeds, the updates
    are discarded.

    `input_gradient` can be called inside a compiled function, such as a `train_step`;
    see `compile_function`. Do not differentiate the result again, because second
    derivatives are available only on TensorFlow and JAX.

    Args:
        function: Function that maps a batch to a float tensor of shape `(batch,)`
            and uses only `keras.ops`, layers and models.
        x: Float tensor or array of shape `(batch, ...)`.
        has_auxiliary: Whether `function` returns a pair `(values, auxiliary)`. The
            auxiliary tensor, such as the logits, is not differentiated. Defaults to
            `False`.

    Returns:
        A tuple `(values, gradient)`. The values have shape `(batch,)`. The gradient of
        their sum has the shape and dtype of `x`, and is zero where `function` does not
        depend on `x`. With `has_auxiliary=True`, the auxiliary tensor is the third
        element of the tuple.

    Raises:
        ValueError: If the dtype of `x` is not a float type, or `function` does not
            return a tensor of shape `(batch,)`.

    Example:

    >>> values, gradient = input_gradient(
    ...     lambda x: keras.ops.sum(x**2, axis=1), np.array([[1.0, 2.0], [3.0, 4.0]])
    ... )
    >>> keras.ops.convert_to_numpy(gradient).tolist()
    [[2.0, 4.0], [6.0, 8.0]]
    """
    if not callable(function):
        raise invalid_argument("function", "a function of a batch", function)
    x = keras.ops.convert_to_tensor(x)
    if not keras.backend.is_float_dtype(x.dtype):
        raise invalid_argument(
            "x",
            "a float tensor",
            keras.backend.standardize_dtype(x.dtype),
            "Integers such as token ids have no gradient. If the integers are "
            "quantities, cast them to float.",
        )

    def values_at(inputs):
        with unchanged_state():
            result = function(inputs[0])
        values, auxiliary = result if has_auxiliary else (result, None)
        shape = getattr(values, "shape", ())
        if len(shape) != 1:
            raise invalid_argument(
                "function",
                "a function that returns one scalar per example, of shape (batch,)",
                tuple(shape),
            )
        return values, auxiliary

    values, (gradient,), auxiliary = backend.differentiate(values_at, [x])
    return (values, gradient, auxiliary) if has_auxiliary else (values, gradient)


def weight_gradients(
    model: keras.Model, x, y=None, *, sample_weight=None, training: bool = True
) -> list:
    """Differentiates the loss of a compiled model with respect to its weights.

    The loss is the one that `fit` minimizes, including regularization terms and losses
    from `add_loss`. With `training=True`, the result equals the gradients in the next
    training step: dropout draws the same mask as in that step, because the random state
    is left unchanged. All variables, including batch statistics, are left unchanged as
    well. If the optimizer scales the loss to prevent underflow, as `LossScaleOptimizer`
    does, this function also scales the loss, and then divides the gradients by the
    scale.

    Args:
        model: Compiled and built model.
        x: Batch of inputs, in the form that the model accepts.
        y: Batch of targets, in the form that the loss accepts. Defaults to `None`.
        sample_weight: Weights of the examples, of shape `(batch,)`. Defaults to
            `None`.
        training: Whether the layers run in training mode, which affects batch
            normalization and dropout. Defaults to `True`.

    Returns:
        A list of tensors in the order of `model.trainable_variables`, with the same
        shapes. If the loss does not depend on a weight, the gradient for that weight
        is zero.

    Raises:
        ValueError: If the model is not compiled and built, or if another argument is
            invalid.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> model.set_weights([np.array([[3.0]]), np.array([0.0])])
    >>> kernel, bias = weight_gradients(model, np.array([[2.0]]), np.array([[1.0]]))
    >>> float(kernel[0, 0]), float(bias[0])  # 2 * (3 * 2 - 1) * x, and without x
    (20.0, 10.0)
    """
    loss = loss_function(model, x, y, sample_weight=sample_weight, training=training)
    variables = model.trainable_variables
    scale = _loss_scale(model)
    _, gradients, _ = backend.differentiate(
        lambda values: (loss(values) * scale, None),
        [variable.value for variable in variables],
    )
    return [gradient / scale for gradient in gradients]


def loss_function(
    model: keras.Model, x, y=None, *, sample_weight=None, training: bool = True
) -> Callable:
    """Returns the loss of one batch as a function of the trainable weights.

    Args:
        model: Compiled and built model.
        x: Batch of inputs.
        y: Batch of targets. Defaults to `None`.
        sample_weight: Weights of the examples. Defaults to `None`.
        training: Whether the layers run in training mode. Defaults to `True`.

    Returns:
        A function that maps a list of tensors, in the order of
        `model.trainable_variables`, to a scalar. Calling this function leaves all
        variables unchanged.

    Raises:
        ValueError: If the model is not compiled and built, or if another argument is
            invalid.
    """
    check_choice("training", training, (True, False))
    is_model = isinstance(model, keras.Model)
    if not is_model or not model.compiled or not model.built:
        raise invalid_argument(
            "model",
            "a keras.Model that is compiled and built",
            model.name if is_model else model,
            "Call `model.compile(...)`, and define the input shape with `keras.Input`.",
        )
    if y is None and compiled_loss(model) is not None:
        raise invalid_argument(
            "y",
            "targets, which the loss of the model requires",
            y,
            "Pass `x` and `y`, the arrays of one batch.",
        )
    x, y, sample_weight = (
        None if data is None else keras.tree.map_structure(_to_tensor, data)
        for data in (x, y, sample_weight)
    )
    for name, data in (("y", y), ("sample_weight", sample_weight)):
        tensors = [] if data is None else keras.tree.flatten((x, data))
        if len({each.shape[0] for each in tensors if len(each.shape)}) > 1:
            received = keras.tree.map_structure(lambda each: tuple(each.shape), data)
            raise invalid_argument(name, "as many examples as `x` has", received)

    def loss(values):
        pairs = zip(model.trainable_variables, values, strict=True)
        with unchanged_state(pairs):
            predicted = model(x, training=training)
            return model.compute_loss(x, y, predicted, sample_weight, training=training)

    return loss


def compile_function(
    function: Callable, variables: Sequence[keras.Variable] = ()
) -> Callable:
    """Compiles a function of tensors with `tf.function` or `jax.jit`.

    On PyTorch, the function runs without compilation. On the other backends, the
    function is compiled again for every new combination of shapes and dtypes of its
    arguments.

    Each call reads the current values of the variables and leaves them unchanged:
    assignments inside the function are undone when the function returns. If the state
    of a seed generator is one of the variables, the generator therefore draws the same
    numbers in every call. To draw different numbers, pass a seed as an argument.

    Args:
        function: Function that maps tensors to a tensor or a nested structure of
            tensors.
        variables: All variables that `function` reads, such as `model.variables`. On
            JAX, any other variable keeps the value that it had when the function was
            compiled. Defaults to `()`.

    Returns:
        A function that takes tensors or arrays.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> predict = compile_function(model, model.variables)
    >>> model.set_weights([np.ones((2, 1)), np.zeros(1)])
    >>> float(predict(np.ones((1, 2)))[0, 0])
    2.0
    """
    variables = tuple(variables)

    def stateless(values, arguments):
        pairs = () if values is None else zip(variables, values, strict=True)
        with unchanged_state(pairs):
            return function(*arguments)

    compiled = backend.compile_stateless(stateless, variables)

    def call(*arguments):
        return compiled(*keras.tree.map_structure(_to_tensor, arguments))

    return call


@contextlib.contextmanager
def unchanged_state(values: Iterable[tuple] = ()) -> Iterator[None]:
    """Discards all changes to variables and random state on exit from the context.

    Args:
        values: Pairs `(variable, tensor)`. Inside the context, each variable has the
            value of its tensor. Defaults to `()`.
    """
    with (
        backend.preserve_generator(),
        keras.StatelessScope(collect_losses=True) as scope,
    ):
        if scope.original_scope is not None:  # for example, in a JAX training step
            scope.state_mapping.update(scope.original_scope.state_mapping)
        for pair in values:
            scope.add_update(pair)
        yield


def same_trace() -> Callable:
    """Returns a function that checks whether a tensor belongs to the current trace.

    The bodies of loops, branches, mapped functions and nested compiled functions each
    have their own trace, and a tensor can leave a trace only as a return value. Call
    `same_trace` when you create a tensor. Before you use the tensor, pass it to the
    returned function.
    """
    return backend.same_trace()


@contextlib.contextmanager
def float64_scope() -> Iterator[None]:
    """Makes float64 the default dtype of Keras inside the context, on any backend."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    with backend.enable_float64(), float64_operations():
        try:
            keras.config.set_floatx("float64")
            keras.config.set_dtype_policy("float64")
            yield
        finally:
            keras.config.set_floatx(before[0])
            keras.config.set_dtype_policy(before[1])


def _loss_scale(model: keras.Model):
    if model.optimizer is None:
        return 1.0
    return model.optimizer.scale_loss(keras.ops.ones(()))


def _to_tensor(value):
    return keras.ops.convert_to_tensor(value)
