"""Names that KerasTuner does not promise to keep.

Each function uses such names and says why there is no public way. If a name is gone, it
raises an `ImportError` that names it. `OVERRIDDEN` lists the private methods that
KerasTuner calls and that classes of `tuning` override.
"""

from collections.abc import Sequence

import keras_tuner
from keras_tuner.engine.hyperparameters import HyperParameter

from zoo.backend.keras_internals import attribute

OVERRIDDEN = {
    # All declarations, such as `hp.Float`, find and add hyperparameters with these.
    keras_tuner.HyperParameters: ("_exists", "_register", "_retrieve"),
    # The first collects the hyperparameters, the second runs a trial in `search`.
    keras_tuner.Tuner: ("_populate_initial_space", "_try_run_and_update_trial"),
}


def check_overridden() -> None:
    """Checks that KerasTuner has the methods that classes of `tuning` override.

    If it renamed one, the override would never run, and no other error would tell.

    Raises:
        ImportError: If a method does not exist.
    """
    for cls, names in OVERRIDDEN.items():
        for name in names:
            attribute(cls, name, keras_tuner)


def add_hyperparameter(
    hyperparameters: keras_tuner.HyperParameters, hp: HyperParameter
) -> None:
    """Adds a hyperparameter without a copy, and without a change of values.

    The public methods, such as `merge`, copy the hyperparameter and assign a value.
    """
    attribute(hyperparameters, "_hps", keras_tuner)[hp.name].append(hp)
    attribute(hyperparameters, "_space", keras_tuner).append(hp)


def hyperparameters_named(
    hyperparameters: keras_tuner.HyperParameters, name: str
) -> Sequence[HyperParameter]:
    """Returns the hyperparameters of a name, which differ in their conditions.

    The public list, `space`, would have to be searched from start to end.
    """
    return attribute(hyperparameters, "_hps", keras_tuner).get(name, ())


def check_name(hyperparameters: keras_tuner.HyperParameters, name: str) -> None:
    """Raises if an open conditional scope depends on a hyperparameter of this name.

    The open scopes are private.
    """
    attribute(hyperparameters, "_validate_name", keras_tuner)(name)


def project_folder(oracle: keras_tuner.Oracle) -> str:
    """Returns the folder of a search.

    The public `project_dir` belongs to the tuner, which the oracle does not know.
    """
    return attribute(oracle, "_project_dir", keras_tuner)


def configure_tensorboard(
    tuner: keras_tuner.Tuner, callbacks: list, trial, execution: int
) -> None:
    """Directs `TensorBoard` callbacks to a folder of their own, and logs the values.

    Only this private method converts hyperparameters to those of TensorBoard.
    """
    configure = attribute(tuner, "_configure_tensorboard_dir", keras_tuner)
    configure(callbacks, trial, execution)


check_overridden()
