"""Several models in the place of one: averages of predictions and of weights."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from .layers.log_mean_probability import LogMeanProbability
from .utils.arguments import (
    check_choice,
    check_fraction,
    check_positive,
    invalid_argument,
)
from .utils.copy_model import copy_model, load_variables, own_variables

Models = Sequence[keras.Model | str | os.PathLike] | str | os.PathLike
ACTIVATIONS = {
    "classification": "softmax",
    "language_model": "softmax",
    "multi_label": "sigmoid",
}


def average(
    models: Models, *, task: str = "classification", name: str = "ensemble"
) -> keras.Model:
    """Builds a model that averages what several models predict.

    Of classifiers the probabilities are averaged, and the result is logits again: the
    logarithm of the mean probability; see `zoo.layers.LogMeanProbability`. Of a
    regression the outputs are; where they are means and log-variances, that is not the
    variance of the mixture, which also counts how far the means differ. The members are
    models inside the model, `member_1` and so on; they share their weights with those
    passed.

    Independent trainings make a deep ensemble (Lakshminarayanan et al. 2017),
    checkpoints of one training a snapshot ensemble (Huang et al. 2017).

    Args:
        models: Functional or sequential models of one input and one output, of equal
            shapes; or paths of `.keras` files; or a folder, of which all
            `.keras` files are taken. Of `callbacks.Snapshots` pass `paths`, where the
            folder has files of other trainings too.
        task: "classification", "language_model", "multi_label" or "regression"; all
            but the last expect logits. Defaults to `"classification"`.
        name: Name of the model. Defaults to `"ensemble"`.

    Returns:
        An uncompiled functional `keras.Model`, which saves and loads as any other.

    Raises:
        ValueError: If an argument is invalid, a file cannot be loaded, or the models
            do not fit together.

    Example:

    >>> from zoo import ensemble, mlp
    >>> models = [mlp((4,), 3, units=(8,)) for _ in range(3)]
    >>> model = ensemble.average(models)
    >>> model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> model.output_shape, model.count_params() == 3 * models[0].count_params()
    ((None, 3), True)
    """
    check_choice("task", task, (*ACTIVATIONS, "regression"))
    members = list(_load_all(models))
    for member in members:
        _check_functional(member)
    facts = [
        (model.input_shape, model.output_shape, model.inputs[0].dtype)
        for model in members
    ]
    if len(set(facts)) > 1:
        raise invalid_argument(
            "models", "models of one input shape, output shape and input dtype", facts
        )
    first = members[0]
    if ACTIVATIONS.get(task) == "softmax":
        _check_classes("models", first)
    inputs = keras.Input(
        batch_shape=first.input_shape, dtype=first.inputs[0].dtype, name="input"
    )
    # Another model around the same layers: their own names may all be the same.
    outputs = [
        keras.Model(model.inputs, model.outputs[0], name=f"member_{number}")(inputs)
        for number, model in enumerate(members, start=1)
    ]
    settings = {"dtype": first.outputs[0].dtype, "name": "average"}
    if task == "regression":
        mean = keras.layers.Average(**settings)
    else:
        mean = LogMeanProbability(ACTIVATIONS[task], **settings)
    # `Average` wants two inputs at least.
    single = task == "regression" and len(outputs) == 1
    return keras.Model(inputs, outputs[0] if single else mean(outputs), name=name)


def average_weights(models: Models) -> keras.Model:
    """Returns a model whose weights are the means of those of several models.

    It costs no more than one model. It makes sense for checkpoints of one training,
    between which the loss is low: stochastic weight averaging (Izmailov et al. 2018,
    "Averaging Weights Leads to Wider Optima and Better Generalization"). Weights of
    independent trainings must not be averaged. Files are loaded one at a time.

    Args:
        models: Models of the same layers; or paths of `.keras` files; or a folder, of
            which all `.keras` files are taken. Of `callbacks.Snapshots` pass `paths`,
            where the folder has files of other trainings too.

    Returns:
        An uncompiled copy of the first model, with the mean weights. Integers are
        those of the first.

    Raises:
        ValueError: If an argument is invalid, a file cannot be loaded, the models are
            not of the same layers, or a layer is quantized.

    Example:

    >>> from zoo import ensemble, mlp
    >>> models = [mlp((4,), 3, units=()) for _ in range(2)]
    >>> for number, model in enumerate(models):
    ...     model.set_weights([np.full((4, 3), number), np.zeros(3)])
    >>> ensemble.average_weights(models).get_weights()[0].max()
    np.float32(0.5)
    """
    # NOTE[DIFF] The paper estimates the statistics of batch normalization anew, by a
    # pass over the training data; here they are averaged, which needs no data.
    mean, result = None, None
    for count, model in enumerate(_load_all(models), start=1):
        _check_not_quantized(model)
        stores = own_variables(model)
        if result is None:
            result = copy_model(model)
            mean = [_as_float64(store) for store in stores]
        if _shapes(stores) != _shapes(mean):
            raise invalid_argument(
                "models",
                "models of the same layers",
                [result.name, model.name],
                f"The weights of number {count} have other shapes than the first's.",
            )
        _move_mean(mean, stores, count)
    load_variables(result, mean)
    return result


def moving_average(model: keras.Model) -> keras.Model:
    """Returns a copy of a model with the moving average of its weights.

    Keras' optimizers keep the average with `use_ema=True`. `fit` writes it into the
    model at its very end; until then, as in a callback, the model trains on with its
    own weights, and this gives the average, as for evaluation. The model stays as it
    is, which `keras.callbacks.SwapEMAWeights` does not ensure: passed to `predict`,
    it leaves the average in the model (`on_predict_end`, Keras 3.15).

    Args:
        model: Model compiled with an optimizer with `use_ema=True` that has made a
            step.

    Returns:
        An uncompiled copy.

    Raises:
        ValueError: If the optimizer has no moving average.

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
    optimizer = getattr(model, "optimizer", None)  # which an uncompiled one lacks
    inner = getattr(optimizer, "inner_optimizer", optimizer)
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
    """Returns a model that trains a student to predict as its teacher does.

    For classifiers that end in logits: Hinton et al. (2015, "Distilling the Knowledge
    in a Neural Network", section 2). The loss is `student_loss_weight` times the
    compiled one, plus the rest times the Kullback-Leibler divergence of the student's
    from the teacher's probabilities, both softened by the temperature T, times T^2.
    Compile and fit it as any model; the student, trained in place, is then used alone.
    The outputs of a regression are distilled by Keras'
    `keras.distillation.FeatureDistillation("mse")` as it is.

    What Keras' `Distiller` does, this does too: it freezes the teacher for good, and
    leaves regularizers and sample weights out of the loss.

    Args:
        teacher: Model that ends in logits, as an `average`.
        student: Model of the same input and output shape.
        temperature: Number > 0. Defaults to `3.0`.
        student_loss_weight: Number in [0, 1). Defaults to `0.5`.

    Returns:
        An uncompiled `keras.distillation.Distiller`.

    Raises:
        ValueError: If an argument is invalid, or the models do not fit together.

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
    for argument, model in (("teacher", teacher), ("student", student)):
        _check_classes(argument, model)
    # The name "kl_divergence", Keras' default, gives a function that `compute_loss`
    # of Keras 3.15 does not take for a divergence: it gets logits for probabilities.
    divergence = keras.distillation.LogitsDistillation(
        temperature, loss=keras.losses.KLDivergence()
    )
    return keras.distillation.Distiller(
        teacher, student, divergence, student_loss_weight=student_loss_weight
    )


def _load_all(models: Models) -> Iterator[keras.Model]:
    """Gives the models one by one, loaded where they are files."""
    expected = "models or paths of `.keras` files, at least one"
    received = models
    if isinstance(models, str | os.PathLike):
        models = sorted(Path(models).glob("*.keras"))
        expected = "a folder of `.keras` files, or a list of models or paths"
    valid = isinstance(models, Sequence) and all(
        isinstance(item, keras.Model | str | os.PathLike) for item in models
    )
    if not valid or not models:
        raise invalid_argument("models", expected, received)
    for item in models:
        yield item if isinstance(item, keras.Model) else _load(item)


def _load(path: str | os.PathLike) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        raise ValueError(
            f"Cannot load a model. Expected the path of a `.keras` file. Received: "
            f"'{path}'\n{error}"
        ) from error


def _check_functional(model: keras.Model) -> None:
    for tensors in (getattr(model, "inputs", None), getattr(model, "outputs", None)):
        if not isinstance(tensors, list) or len(tensors) != 1:
            raise invalid_argument(
                "models",
                "functional or sequential models of one input and one output",
                model.name,
            )


def _check_classes(argument: str, model: keras.Model) -> None:
    """Raises if there is one class alone, whose probability is always 1."""
    if not isinstance(model, keras.Model):
        raise invalid_argument(argument, "a keras.Model", model)
    if model.output_shape[-1] == 1:
        raise invalid_argument(
            argument,
            "models with a logit for each class, two at least",
            f"{model.name} with outputs of shape {model.output_shape}",
            "An average of one output is `task='regression'`, or 'multi_label' if it "
            "is a logit.",
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
    """Makes the mean of `count - 1` models that of `count`."""
    for means, store in zip(mean, stores, strict=True):
        for key, value in store.items():
            if _is_float(value):
                means[key] += (value - means[key]) / count


def _check_not_quantized(model: keras.Model) -> None:
    """Raises if kernels are integers, whose mean is not that of the weights."""
    quantized = [
        layer.name
        for layer in model._flatten_layers()
        if getattr(layer, "quantization_mode", None) is not None
    ]
    if quantized:
        raise invalid_argument(
            "models",
            "models whose layers are not quantized",
            quantized,
            "Average the weights first, then call `quantize` on the result.",
        )
