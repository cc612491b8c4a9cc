"""The inputs and outputs of a training step of `AdversarialTrainer`."""

from typing import Any, NamedTuple


class TrainingBatch(NamedTuple):
    """Holds the inputs of a training step, or the outputs for them.

    Keras passes it through a training step like any other structure of tensors.

    Args:
        adversarial: Tensor of adversarial inputs, or the outputs for them.
        clean: The same for clean inputs. Defaults to `None`: the objective does not
            use them.
    """

    adversarial: Any
    clean: Any = None

    @property
    def main(self):
        """The clean tensor, or the adversarial one if there is no clean tensor."""
        return self.adversarial if self.clean is None else self.clean
