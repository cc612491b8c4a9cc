"""Access to private names of KerasTuner, which any release may change or remove.

Each function uses such names and documents why no public API can be used instead. If a
name no longer exists, the function raises an `ImportError` that states the name.
`OVERRIDDEN` lists the private methods of KerasTuner that classes of `tuning` override.
"""

from collections.abc import Sequence

import keras_tuner
from keras_tuner.engine.hyperparameters import HyperParameter

from zoo.backend.keras_internals import attribute

OVERRIDDEN = {
    # Declarations, such as `hp.Float`, call these to look up and add hyperparameters.
    keras_tuner.HyperParameters: ("_exists", "_register", "_retrieve"),
    # The first discovers the hyperparameters, and the second runs a trial in `search`.
    keras_tuner.Tuner: ("_populate_initial_space", "_try_run_and_update_trial"),
}


def check_overridden() -> None:
    """Checks that KerasTuner has the methods that classes of `tuning` override.

    If KerasTuner renamed one of these methods, the override would silently be ignored.

    Raises:
        ImportError: If a method does not exist.
    """
    for cls, names in OVERRIDDEN.items():
        for name in names:
            attribute(cls, name, keras_tuner)


def add_hyperparameter(
    hyperparameters: keras_tuner.HyperParameters, hp: HyperParameter
) -> None:
    """Adds a hyperparameter without copying it or changing any value.

    The public methods, such as `merge`, copy the hyperparameter and assign a value.
    """
    attribute(hyperparameters, "_hps", keras_tuner)[hp.name].append(hp)
    attribute(hyperparameters, "_space", keras_tuner).append(hp)


def hyperparameters_named(
    hyperparameters: keras_tuner.HyperParameters, name: str
) -> Sequence[HyperParameter]:
    """Returns all hyperparameters with a given name.

    Hyperparameters with the same name differ in their conditions. The only public
    alternative is to search the whole list `space`.
    """
    return attribute(hyperparameters, "_hps", keras_tuner).get(name, ())


def check_name(hyperparameters: keras_tuner.HyperParameters, name: str) -> None:
    """Raises an error if an enclosing conditional scope depends on this name.

    The enclosing scopes are not available through any public attribute.

    Raises:
        ValueError: If a hyperparameter would have the same name as its parent.
    """
    attribute(hyperparameters, "_validate_name", keras_tuner)(name)


def project_folder(oracle: keras_tuner.Oracle) -> str:
    """Returns the folder of a search.

    The public property `project_dir` belongs to the tuner, which the oracle cannot
    access.
    """
    return attribute(oracle, "_project_dir", keras_tuner)


def configure_tensorboard(
    tuner: keras_tuner.Tuner, callbacks: list, trial, execution: int
) -> None:
    """Directs `TensorBoard` callbacks to the folder of an execution.

    This also adds a callback that logs the hyperparameters to TensorBoard. On backends
    other than TensorFlow, KerasTuner does neither. No public method converts
    hyperparameters to the format of TensorBoard.
    """
    configure = attribute(tuner, "_configure_tensorboard_dir", keras_tuner)
    configure(callbacks, trial, execution)


check_overridden()
