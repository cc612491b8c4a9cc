"""The inputs and outputs of a training step of `AdversarialTrainer`."""

from typing import Any, NamedTuple


class TrainingBatch(NamedTuple):
    """The inputs of a training step, or the outputs of the model for these inputs.

    Keras passes a `TrainingBatch` through a training step like any other structure of
    tensors.

    Args:
        adversarial: Tensor of adversarial inputs, or of the outputs for these inputs.
        clean: Tensor of clean inputs, or of the outputs for these inputs. Defaults to
            `None`: the objective does not use clean inputs.
    """

    adversarial: Any
    clean: Any = None

    @property
    def main(self):
        """The clean tensor, or the adversarial tensor if there is no clean tensor."""
        return self.adversarial if self.clean is None else self.clean
