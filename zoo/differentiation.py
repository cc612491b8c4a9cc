"""How each backend differentiates and compiles. Nothing here changes any state."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import keras
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

from .utils.arguments import check_choice, invalid_argument

BACKEND = keras.backend.backend()


def input_gradient(function: Callable, x, *, has_auxiliary: bool = False):
    """Differentiates the scalars that a function gives for the examples of a batch.

    If the scalar of an example depends on that example alone, row `i` of the gradient
    of their sum is the gradient of scalar `i`. All variables stay as they are: what
    `function` would update, as batch statistics and random seeds, is left as found.

    It works inside a compiled function, as a `train_step`; see `compile_function`. An
    outer differentiation must not go through it: only TensorFlow and JAX could.

    Args:
        function: Function of a batch to a float tensor of shape `(batch,)`, of
            `keras.ops`, layers and models.
        x: Float tensor or array of shape `(batch, ...)`.
        has_auxiliary: Whether `function` returns a pair: the values, and a tensor
            that is not differentiated, as the logits. Defaults to `False`.

    Returns:
        The values, of shape `(batch,)`, and the gradient of their sum, a tensor of the
        shape and dtype of `x`. It is zero for what `function` does not depend on. With
        `has_auxiliary=True` the auxiliary tensor comes third.

    Raises:
        ValueError: If `x` does not hold floats, or `function` does not return a
            tensor of shape `(batch,)`.

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
            "Integers, as tokens, have no gradient; cast what is not a category.",
        )

    def values_at(inputs):
        with unchanged_state():
            result = function(inputs[0])
        values, auxiliary = result if has_auxiliary else (result, None)
        shape = getattr(values, "shape", ())
        if len(shape) != 1:
            raise invalid_argument(
                "function",
                "one that returns a scalar for each example, of shape (batch,)",
                tuple(shape),
            )
        return values, auxiliary

    values, (gradient,), auxiliary = _differentiate(values_at, [x])
    return (values, gradient, auxiliary) if has_auxiliary else (values, gradient)


def weight_gradients(
    model: keras.Model, x, y=None, *, sample_weight=None, training: bool = True
) -> list:
    """Differentiates the loss of a compiled model with respect to its weights.

    The loss is that of `fit`, with what regularizers and `add_loss` add. With
    `training=True` these are the gradients of the very next training step: dropout
    draws what that step would draw, since the random state is left as found, as are
    batch statistics and all other variables. Under an optimizer that scales the loss,
    as `LossScaleOptimizer`, the loss is scaled here too, against underflow, and the
    gradients are divided by the scale.

    Args:
        model: Compiled and built model.
        x: Batch of inputs, as the model takes them.
        y: Batch of targets, as the loss takes them. Defaults to `None`.
        sample_weight: Weights of the examples, of shape `(batch,)`. Defaults to
            `None`.
        training: Whether layers behave as in training: batch statistics, dropout.
            Defaults to `True`.

    Returns:
        A list of tensors in the order of `model.trainable_variables`, of their shapes.
        A weight that the loss does not depend on has gradient zero.

    Raises:
        ValueError: If the model is not compiled, or not built.

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
    _, gradients, _ = _differentiate(
        lambda values: (loss(values) * scale, None),
        [variable.value for variable in variables],
    )
    return [gradient / scale for gradient in gradients]


def loss_function(
    model: keras.Model, x, y=None, *, sample_weight=None, training: bool = True
) -> Callable:
    """Returns the loss of one batch, as a function of the trainable weights.

    Args:
        model: Compiled and built model.
        x: Batch of inputs.
        y: Batch of targets. Defaults to `None`.
        sample_weight: Weights of the examples. Defaults to `None`.
        training: Whether layers behave as in training. Defaults to `True`.

    Returns:
        A function of a list of tensors, in the order of `model.trainable_variables`,
        to a scalar, which leaves all variables as they are.

    Raises:
        ValueError: If the model is not compiled, or not built.
    """
    check_choice("training", training, (True, False))
    is_model = isinstance(model, keras.Model)
    if not is_model or not model.compiled or not model.built:
        raise invalid_argument(
            "model",
            "a keras.Model that is compiled and built",
            model.name if is_model else model,
            "Call `model.compile(...)`, and give its input shape with `keras.Input`.",
        )
    if y is None and model._compile_loss is not None:
        raise invalid_argument("y", "the targets that the compiled loss compares", y)
    x, y, sample_weight = (
        None if data is None else keras.tree.map_structure(_to_tensor, data)
        for data in (x, y, sample_weight)
    )
    for name, data in (("y", y), ("sample_weight", sample_weight)):
        parts = [] if data is None else keras.tree.flatten((x, data))
        if len({part.shape[0] for part in parts if len(part.shape)}) > 1:
            received = keras.tree.map_structure(lambda part: tuple(part.shape), data)
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
    """Compiles a function of tensors: `tf.function`, `jax.jit`, as it is on PyTorch.

    It is compiled anew for every shape and dtype of its arguments. Every call sees
    the values that the variables have at that time, and changes none: what the
    function assigns holds until it returns, so a seed generator among the variables
    draws the same at every call. Pass a seed as an argument where it should not.

    Args:
        function: Function of tensors to nested tensors.
        variables: All variables that `function` reads, as `model.variables`. On JAX
            any other would keep the value it had when the function was compiled.
            Defaults to `()`.

    Returns:
        A function of tensors or arrays.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> predict = compile_function(model, model.variables)
    >>> model.set_weights([np.ones((2, 1)), np.zeros(1)])
    >>> float(predict(np.ones((1, 2)))[0, 0])
    2.0
    """
    compiled = _COMPILERS[BACKEND](function, tuple(variables))

    def call(*arguments):
        return compiled(*keras.tree.map_structure(_to_tensor, arguments))

    return call


@contextlib.contextmanager
def unchanged_state(values: Iterable[tuple] = ()) -> Iterator[None]:
    """Leaves variables and random state as found, whatever happens inside.

    Args:
        values: Pairs of a variable and the tensor that is its value inside. Defaults
            to `()`.
    """
    with _unchanged_generator(), keras.StatelessScope(collect_losses=True) as scope:
        if scope.original_scope is not None:  # as in a training step on JAX
            scope.state_mapping.update(scope.original_scope.state_mapping)
        for pair in values:
            scope.add_update(pair)
        yield


def same_trace() -> Callable:
    """Returns a function that says whether a tensor belongs to the present trace.

    What runs in the body of a loop, in a branch, under a map or in another compiled
    function belongs to a trace of its own, from which no tensor may come out by other
    means than being returned. Ask where the tensor is made.
    """
    return _SAME_TRACE[BACKEND]()


@contextlib.contextmanager
def float64_scope() -> Iterator[None]:
    """Makes float64 what Keras computes in by default, and lets every backend do so."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    narrowed = dict(BIT64_TO_BIT32_DTYPE)
    with _jax_x64() if BACKEND == "jax" else contextlib.nullcontext():
        try:
            # On JAX and PyTorch the operations of Keras cast float64 to float32.
            BIT64_TO_BIT32_DTYPE["float64"] = "float64"
            keras.config.set_floatx("float64")
            keras.config.set_dtype_policy("float64")
            yield
        finally:
            BIT64_TO_BIT32_DTYPE.update(narrowed)
            keras.config.set_floatx(before[0])
            keras.config.set_dtype_policy(before[1])


def _unchanged_generator():
    """Dropout without a seed draws from a generator of PyTorch's own."""
    if BACKEND != "torch":
        return contextlib.nullcontext()
    import torch

    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    return torch.random.fork_rng(gpus)


def _loss_scale(model: keras.Model):
    if model.optimizer is None:
        return 1.0
    return model.optimizer.scale_loss(keras.ops.ones(()))


def _to_tensor(value):
    return keras.ops.convert_to_tensor(value)


def _jax_x64():
    import jax

    return jax.enable_x64(True)


def _compile_tensorflow(function, variables):
    import tensorflow as tf

    @tf.function
    def compiled(*arguments):
        with unchanged_state():
            return function(*arguments)

    return compiled


def _compile_jax(function, variables):
    import jax

    @jax.jit
    def compiled(values, arguments):
        with unchanged_state(zip(variables, values, strict=True)):
            return function(*arguments)

    def call(*arguments):
        return compiled([variable.value for variable in variables], arguments)

    return call


def _compile_torch(function, variables):
    import torch

    def call(*arguments):
        with torch.no_grad(), unchanged_state():
            return function(*arguments)

    return call


def _same_trace_tensorflow():
    import tensorflow as tf

    graph = tf.compat.v1.get_default_graph()
    return lambda tensor: tf.compat.v1.get_default_graph() is graph


def _same_trace_jax():
    import jax
    import jax.extend

    where = jax.extend.core
    if not hasattr(where, "get_opaque_trace_state"):  # before it moved there
        where = jax.core
    state = where.get_opaque_trace_state()
    return lambda tensor: where.get_opaque_trace_state() == state


def _same_trace_torch():
    def has_storage(tensor):
        try:
            tensor.data_ptr()
        except RuntimeError:  # as under `torch.vmap`
            return False
        return True

    return has_storage


def _differentiate_tensorflow(function, inputs):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values, auxiliary = function(inputs)
    gradients = tape.gradient(values, inputs, unconnected_gradients="zero")
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    return values, gradients, auxiliary


def _differentiate_jax(function, inputs):
    import jax

    values, backward, auxiliary = jax.vjp(function, inputs, has_aux=True)
    (gradients,) = backward(jax.numpy.ones_like(values))
    return values, gradients, auxiliary


def _differentiate_torch(function, inputs):
    import torch

    inputs = [
        tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        for tensor in inputs
    ]
    with torch.enable_grad():  # an attack may run where predictions are made
        values, auxiliary = function(inputs)
        total = values.sum()
    auxiliary = None if auxiliary is None else auxiliary.detach()
    if not total.requires_grad:
        return values, [torch.zeros_like(tensor) for tensor in inputs], auxiliary
    gradients = torch.autograd.grad(
        total, inputs, allow_unused=True, materialize_grads=True
    )
    return values.detach(), gradients, auxiliary


_COMPILERS = {
    "tensorflow": _compile_tensorflow,
    "jax": _compile_jax,
    "torch": _compile_torch,
}
_SAME_TRACE = {
    "tensorflow": _same_trace_tensorflow,
    "jax": _same_trace_jax,
    "torch": _same_trace_torch,
}
_differentiate = {
    "tensorflow": _differentiate_tensorflow,
    "jax": _differentiate_jax,
    "torch": _differentiate_torch,
}[BACKEND]
