"""The facts that rules judge, gathered from a model, its data and its training."""

from dataclasses import dataclass

from .data.data_facts import DataFacts
from .data.leak import Leak
from .reading.model_facts import ModelFacts
from .run.pass_facts import PassFacts
from .run.training_facts import TrainingFacts
from .run.trivial import TrivialLoss


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything that is known. Parts that are unknown are `None`.

    Attributes:
        model: Facts about the compiled model.
        data: Facts about a sample of the data.
        start: Result of passing the sample through the model before training.
        end: Result of passing the sample through the model after training.
        training: Facts about the call to `fit`.
        trivial: Loss of the best constant predictor.
        leak: How much of the validation data is in the training data.
        validation_constant: Loss on the validation data of the constant predictor that
            is best for the training data.
    """

    model: ModelFacts
    data: DataFacts | None = None
    start: PassFacts | None = None
    end: PassFacts | None = None
    training: TrainingFacts | None = None
    trivial: TrivialLoss | None = None
    leak: Leak | None = None
    validation_constant: float | None = None
