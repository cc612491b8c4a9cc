"""A function that checks the attacks passed to `AdversarialTrainer`."""

import keras

from ...utils.arguments import invalid_argument
from ..attacks.attack import Attack
from ..classifier.float_inputs import graph_inputs


def check_attack(name: str, attack, model: keras.Model) -> Attack:
    """Returns the attack, or raises an error if the trainer cannot use it.

    Args:
        name: Name of the argument, for the error message.
        attack: Value of the argument.
        model: The model to train.
    """
    if not isinstance(attack, Attack) or attack.targeted:
        expected = "an attack that is not targeted, such as PGD(epsilon=0.1, steps=7)"
        raise invalid_argument(name, expected, attack)
    inputs = graph_inputs(model)
    shape: tuple = inputs[0].shape[1:] if inputs else (None,)
    if None not in shape:
        attack.check_shape(shape)
    return attack
