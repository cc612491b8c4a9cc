"""Model ensembles, weight averaging and distillation."""

from typing import Any

import keras
import numpy as np

from .backend.keras_internals import flatten_layers
from .layers.log_mean_probability import LogMeanProbability
from .utils.arguments import (
    check_choice,
    check_fraction,
    check_positive,
    invalid_argument,
)
from .utils.copy_model import copy_model, load_variables, own_variables
from .utils.load_models import Models, load_models

ACTIVATIONS = {
    "classification": "softmax",
    "language_model": "softmax",
    "multi_label": "sigmoid",
}


def average(
    models: Models, *, task: str = "classification", name: str = "ensemble"
) -> keras.Model:
    """Builds a model that averages the predictions of several models.

    For classification, the new model averages the predicted probabilities and outputs
    the logits that correspond to the mean; see `zoo.layers.LogMeanProbability`. For
    regression, the new model averages the outputs. The outputs may be means and
    log-variances, but the averaged log-variance is not the log-variance of the mixture
    of the members, because the variance of the mixture also depends on how much the
    means differ. The members, which share their weights with `models`, become nested
    models named `member_1`, `member_2` and so on.

    An ensemble of independently trained models is called a deep ensemble
    (Lakshminarayanan et al., 2017), and an ensemble of checkpoints from one training
    run is called a snapshot ensemble (Huang et al., 2017).

    Args:
        models: Functional or sequential models with one input, one output and the same
            shapes, or the paths of their `.keras` files. Alternatively, a folder from
            which all `.keras` files are loaded. If the folder also contains files of
            other training runs, pass the `paths` attribute of the `callbacks.Snapshots`
            callback instead.
        task: "classification", "language_model", "multi_label" or "regression". All
            tasks except "regression" require models that output logits. Defaults to
            `"classification"`.
        name: Name of the model. Defaults to `"ensemble"`.

    Returns:
        An uncompiled functional `keras.Model`, which can be saved and loaded.

    Raises:
        ValueError: If an argument is invalid, a file cannot be loaded, or the models
            are incompatible.

    Example:

    >>> from zoo import ensemble, mlp
    >>> models = [mlp((4,), 3, units=(8,)) for _ in range(3)]
    >>> model = ensemble.average(models)
    >>> model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> model.output_shape, model.count_params() == 3 * models[0].count_params()
    ((None, 3), True)
    """
    check_choice("task", task, (*ACTIVATIONS, "regression"))
    members = list(load_models(models))
    for member in members:
        _check_functional(member)
    facts = [
        (model.input_shape, model.output_shape, model.inputs[0].dtype)
        for model in members
    ]
    if len(set(facts)) > 1:
        raise invalid_argument(
            "models",
            "models that share one input shape, output shape and input dtype",
            facts,
        )
    first = members[0]
    if ACTIVATIONS.get(task) == "softmax":
        _check_classes(
            "models",
            first,
            "To average a single output, pass `task='regression'`, or 'multi_label' if "
            "it is a logit.",
        )
    inputs = keras.Input(
        batch_shape=first.input_shape, dtype=first.inputs[0].dtype, name="input"
    )
    # Wrap each member in a new model, because members may have the same name.
    outputs = [
        keras.Model(model.inputs, model.outputs[0], name=f"member_{number}")(inputs)
        for number, model in enumerate(members, start=1)
    ]
    settings = {"dtype": first.outputs[0].dtype, "name": "average"}
    if task == "regression":
        mean = keras.layers.Average(**settings)
    else:
        mean = LogMeanProbability(ACTIVATIONS[task], **settings)
    # `Average` requires at least two inputs.
    single = task == "regression" and len(outputs) == 1
    return keras.Model(inputs, outputs[0] if single else mean(outputs), name=name)


def average_weights(models: Models) -> keras.Model:
    """Averages the weights of several models and returns the result as a new model.

    Unlike an ensemble, the new model is no more expensive to run than a single model.
    Use `average_weights` for checkpoints of a single training run: the loss stays low
    along the path between them. Averaging such checkpoints is known as stochastic
    weight averaging (Izmailov et al., 2018, "Averaging Weights Leads to Wider Optima
    and Better Generalization"). Do not average the weights of independently trained
    models. Files are loaded one at a time.

    Args:
        models: Models with the same layers, or the paths of their `.keras` files.
            Alternatively, a folder from which all `.keras` files are loaded. If the
            folder also contains files of other training runs, pass the `paths`
            attribute of the `callbacks.Snapshots` callback instead.

    Returns:
        An uncompiled copy of the first model with the mean weights. Variables that do
        not have a float dtype keep the values of the first model.

    Raises:
        ValueError: If an argument is invalid, a file cannot be loaded, the layers of
            the models differ, or a layer is quantized.

    Example:

    >>> from zoo import ensemble, mlp
    >>> models = [mlp((4,), 3, units=()) for _ in range(2)]
    >>> for number, model in enumerate(models):
    ...     model.set_weights([np.full((4, 3), number), np.zeros(3)])
    >>> ensemble.average_weights(models).get_weights()[0].max()
    np.float32(0.5)
    """
    # NOTE[DIFF] The paper recomputes the statistics of batch normalization in a pass
    # over the training data; here, they are averaged, which requires no data.
    mean: list[dict] = []
    result = None
    for count, model in enumerate(load_models(models), start=1):
        _check_not_quantized(model)
        stores = own_variables(model)
        if result is None:
            result = copy_model(model)
            mean = [_as_float64(store) for store in stores]
        if _shapes(stores) != _shapes(mean):
            raise invalid_argument(
                "models",
                "models with the same layers",
                [result.name, model.name],
                f"The weights of number {count} and of number 1 differ in shape.",
            )
        _move_mean(mean, stores, count)
    load_variables(result, mean)
    return result


def moving_average(model: keras.Model) -> keras.Model:
    """Returns a copy of a model, with the moving averages in place of the weights.

    Keras optimizers with `use_ema=True` maintain the moving averages, but `fit` writes
    them to the model only at the very end. Until then, the model uses its current
    weights. Use `moving_average` to evaluate the averages during training, for example
    in a callback. The original model is left unchanged. By contrast,
    `keras.callbacks.SwapEMAWeights` writes the averages to the model itself and, in
    Keras 3.15, does not restore the weights in `on_predict_end`, that is, after a call
    to `predict`.

    Args:
        model: Compiled model that has been trained for at least one step by an
            optimizer with `use_ema=True`.

    Returns:
        An uncompiled copy of the model.

    Raises:
        ValueError: If `model` is not compiled, its optimizer does not have
            `use_ema=True`, or no training step has been performed.

    Example:

    >>> from zoo import ensemble, mlp
    >>> model = mlp((1,), 1, units=())
    >>> model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    >>> for _ in range(2):
    ...     loss = model.train_on_batch(np.zeros((1, 1)), np.ones((1, 1)))
    >>> averaged = ensemble.moving_average(model)
    >>> [round(float(m.get_weights()[1][0]), 3) for m in (model, averaged)]
    [0.36, 0.28]
    """
    if not isinstance(model, keras.Model):
        raise invalid_argument("model", "a compiled keras.Model", model)
    optimizer: Any = getattr(model, "optimizer", None)  # missing if uncompiled
    inner: Any = getattr(optimizer, "inner_optimizer", optimizer)
    if not getattr(inner, "use_ema", False) or int(inner.iterations) == 0:
        raise invalid_argument(
            "model",
            "a model whose optimizer has `use_ema=True` and has made a step",
            model.name,
        )
    copy = copy_model(model)
    optimizer.finalize_variable_values(copy.trainable_variables)
    return copy


def distiller(
    teacher: keras.Model,
    student: keras.Model,
    *,
    temperature: float = 3.0,
    student_loss_weight: float = 0.5,
) -> keras.distillation.Distiller:
    """Returns a model that trains a student to match the predictions of a teacher.

    Both models must be classifiers that output logits. The method follows Hinton et al.
    (2015, "Distilling the Knowledge in a Neural Network", section 2). The loss has two
    terms: the loss that is passed to `compile`, weighted by `student_loss_weight`, and
    `T**2 * KL(teacher || student)`, weighted by `1 - student_loss_weight`. Here, KL is
    the Kullback-Leibler divergence between the probabilities that the two models
    predict at temperature T.

    Compile and fit the result like any other model. Training updates the student in
    place, and the student can then be used without the teacher. To distill a
    regression model, use `keras.distillation.FeatureDistillation("mse")`.

    As in any `keras.distillation.Distiller`, the teacher stays frozen after training,
    and the loss ignores regularizers and sample weights.

    Args:
        teacher: Model that outputs logits, such as the result of `average`.
        student: Model with the same input shape and output shape.
        temperature: Number > 0 by which the logits are divided. Defaults to `3.0`.
        student_loss_weight: Weight, in [0, 1), of the loss that is passed to
            `compile`. Defaults to `0.5`.

    Returns:
        An uncompiled `keras.distillation.Distiller`.

    Raises:
        ValueError: If an argument is invalid, or the models are incompatible.

    Example:

    >>> from zoo import ensemble, mlp
    >>> teacher, student = (mlp((4,), 3, units=(size,)) for size in (64, 8))
    >>> model = ensemble.distiller(teacher, student)
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("adam", loss, metrics=["accuracy"])
    >>> history = model.fit(np.ones((8, 4)), np.zeros(8), verbose=0)
    """
    check_positive("temperature", temperature)
    check_fraction("student_loss_weight", student_loss_weight)
    fix = (
        "To distill a regression model, use "
        '`keras.distillation.FeatureDistillation("mse")`.'
    )
    for argument, model in (("teacher", teacher), ("student", student)):
        _check_classes(argument, model, fix)
    # Pass the loss explicitly: Keras 3.15 converts the default, "kl_divergence", to a
    # function that `compute_loss` does not recognize, so `compute_loss` would pass
    # logits instead of probabilities to this function.
    divergence = keras.distillation.LogitsDistillation(
        temperature, loss=keras.losses.KLDivergence()
    )
    return keras.distillation.Distiller(
        teacher, student, divergence, student_loss_weight=student_loss_weight
    )


def _check_functional(model: keras.Model) -> None:
    for tensors in (getattr(model, "inputs", None), getattr(model, "outputs", None)):
        if not isinstance(tensors, list) or len(tensors) != 1:
            raise invalid_argument(
                "models",
                "functional or sequential models with one input and one output",
                model.name,
            )


def _check_classes(argument: str, model: keras.Model, fix: str) -> None:
    """Raises an error unless the model outputs logits for at least two classes.

    With a single class, the predicted probability would always be 1.
    """
    if not isinstance(model, keras.Model):
        raise invalid_argument(argument, "a keras.Model", model)
    if model.output_shape[-1] == 1:
        raise invalid_argument(
            argument,
            "models with a logit for each class, and with at least two classes",
            f"{model.name} with outputs of shape {model.output_shape}",
            fix,
        )


def _as_float64(store: dict) -> dict:
    return {
        key: value.astype("float64") if _is_float(value) else value
        for key, value in store.items()
    }


def _is_float(array: np.ndarray) -> bool:
    return keras.backend.is_float_dtype(array.dtype.name)


def _shapes(stores: list[dict]) -> list[dict]:
    return [{key: value.shape for key, value in store.items()} for store in stores]


def _move_mean(mean: list[dict], stores: list[dict], count: int) -> None:
    """Updates the running `mean` in place with the weights of model number `count`."""
    for means, store in zip(mean, stores, strict=True):
        for key, value in store.items():
            if _is_float(value):
                means[key] += (value - means[key]) / count


def _check_not_quantized(model: keras.Model) -> None:
    """Raises an error if a layer has quantized weights, which cannot be averaged."""
    quantized = [
        layer.name
        for layer in flatten_layers(model)
        if getattr(layer, "quantization_mode", None) is not None
    ]
    if quantized:
        raise invalid_argument(
            "models",
            "models whose layers are not quantized",
            quantized,
            "Average the weights first, then call `quantize` on the result.",
        )
