"""The vocabulary of the diagnosis: the causes of faults, with references."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """Describes one cause of a faulty training run.

    Attributes:
        name: Name of the cause, the key in `CAUSES`.
        summary: Sentence that describes the fault.
        reference: Publication or documentation page to read.
    """

    name: str
    summary: str
    reference: str


_BOOK = "Goodfellow et al., 'Deep Learning', 2016, section {}, {}".format
_CHAPTERS = "https://www.deeplearningbook.org/contents/{}.html".format
_GLOROT = (
    "Glorot & Bengio, 'Understanding the difficulty of training deep feedforward "
    "neural networks', 2010, https://proceedings.mlr.press/v9/glorot10a.html"
)
_RECIPE = (
    "Karpathy, 'A Recipe for Training Neural Networks', 2019, "
    "https://karpathy.github.io/2019/04/25/recipe/"
)
_CS231N = (
    "Karpathy, CS231n notes, 'Neural Networks Part 3', 2015, "
    "https://cs231n.github.io/neural-networks-3/"
)
_OUTPUT_UNITS = _BOOK("6.2.2 (output units)", _CHAPTERS("mlp"))
_CAPACITY = _BOOK("5.2 (capacity, overfitting and underfitting)", _CHAPTERS("ml"))

CAUSES: dict[str, Cause] = {
    cause.name: cause
    for cause in (
        Cause(
            "loss_head_mismatch",
            "The loss, the last activation, `from_logits` and the encoding of the "
            "labels do not fit together.",
            "https://keras.io/api/losses/probabilistic_losses/",
        ),
        Cause(
            "wrong_output_activation",
            "The last activation is constant, or cannot reach the targets.",
            "https://keras.io/api/layers/activations/",
        ),
        Cause(
            "wrong_num_outputs",
            "The number of outputs does not match the labels.",
            _OUTPUT_UNITS,
        ),
        Cause(
            "inputs_not_scaled",
            "The inputs are far larger or smaller than the initial weights assume.",
            "LeCun et al., 'Efficient BackProp', 1998, section 4.3",
        ),
        Cause(
            "labels_out_of_range",
            "Labels or targets lie outside the range of the outputs or of the loss.",
            _OUTPUT_UNITS,
        ),
        Cause(
            "labels_independent_of_inputs",
            "The labels do not depend on the inputs, or are constant.",
            "Zhang et al., 'Understanding deep learning requires rethinking "
            "generalization', 2017, https://arxiv.org/abs/1611.03530",
        ),
        Cause(
            "linear_hidden_stack",
            "The hidden layers have no activation, so they equal one linear layer.",
            _BOOK("6.3 (hidden units)", _CHAPTERS("mlp")),
        ),
        Cause(
            "learning_rate_too_high",
            "The updates are so large that training cannot settle.",
            _CS231N,
        ),
        Cause(
            "learning_rate_too_low",
            "The updates are so small that the weights hardly move.",
            _CS231N,
        ),
        Cause(
            "not_finite",
            "The loss, a gradient, a weight or the data contains NaN or infinity.",
            "https://keras.io/api/callbacks/terminate_on_nan/",
        ),
        Cause(
            "exploding_gradients",
            "The gradients grow out of proportion to the weights.",
            "Pascanu et al., 'On the difficulty of training recurrent neural "
            "networks', 2013, https://arxiv.org/abs/1211.5063",
        ),
        Cause(
            "vanishing_gradients",
            "The gradients of the first layers are negligible.",
            _GLOROT,
        ),
        Cause(
            "saturated_units",
            "Most units of a layer are at the bounds of their activation, where the "
            "gradient vanishes.",
            _GLOROT,
        ),
        Cause(
            "dead_units",
            "Most units of a layer are zero for every example.",
            "Lu et al., 'Dying ReLU and Initialization', 2020, "
            "https://arxiv.org/abs/1903.06733",
        ),
        Cause(
            "bad_initialization",
            "The initial weights are too large, too small, or equal for all units.",
            "He et al., 'Delving Deep into Rectifiers', 2015, "
            "https://arxiv.org/abs/1502.01852",
        ),
        Cause(
            "symmetric_units",
            "The units of a layer have identical weights, so they act as one unit.",
            _BOOK("8.4 (parameter initialization)", _CHAPTERS("optimization")),
        ),
        Cause(
            "too_few_steps",
            "The loss was still falling when training ended.",
            _RECIPE,
        ),
        Cause(
            "underfitting",
            "The model lacks the capacity to fit its training data.",
            _CAPACITY,
        ),
        Cause(
            "overfitting",
            "The model memorizes the training data and gets worse on other data.",
            _CAPACITY,
        ),
        Cause(
            "over_regularized",
            "Penalties, dropout or weight decay keep the model from fitting.",
            _BOOK("7.1 (parameter norm penalties)", _CHAPTERS("regularization")),
        ),
        Cause(
            "unfit_batch_size",
            "The batch size is too small for its layers or too large for the data.",
            _BOOK("8.1.3 (batch algorithms)", _CHAPTERS("optimization")),
        ),
        Cause(
            "unfit_optimizer",
            "A setting of the optimizer is far outside the range it is used with.",
            "https://keras.io/api/optimizers/",
        ),
        Cause(
            "unfit_metric",
            "A metric does not measure the task.",
            "https://keras.io/api/metrics/accuracy_metrics/",
        ),
        Cause(
            "misused_layer",
            "A layer is in the wrong place or is used with the wrong arguments.",
            "https://keras.io/api/layers/",
        ),
        Cause(
            "train_and_inference_differ",
            "The model behaves differently in inference than in training.",
            "https://keras.io/api/layers/normalization_layers/batch_normalization/",
        ),
        Cause(
            "data_bug",
            "The data is constant, duplicated, sorted, contradictory or not finite, or "
            "validation examples are in the training data.",
            _RECIPE,
        ),
        Cause(
            "frozen_weights",
            "Weights that should learn are not trainable or get no gradient.",
            "https://keras.io/guides/transfer_learning/",
        ),
        Cause(
            "not_learning",
            "The model is no better than a trivial predictor, for an unknown reason.",
            _RECIPE,
        ),
    )
}


def vocabulary_table() -> str:
    """Returns all causes as a table in Markdown, for the documentation."""
    rows = [
        f"| `{cause.name}` | {cause.summary} | {cause.reference} |"
        for cause in CAUSES.values()
    ]
    return "\n".join(["| cause | description | reference |", "|---|---|---|", *rows])
