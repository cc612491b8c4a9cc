"""Faults of the last layer, the loss, the encoding of the labels and the metric."""

from .arrays import TASKS
from .faults import fault

CLASSES = {"classes": "softmax", "binary": "sigmoid", "labels": "sigmoid"}
SHORT = {"classes": "sparse", "binary": "binary", "labels": "binary"}
NUM_CLASSES = {"waves": 4}  # 10 in the other datasets with more than two classes


def probabilities(recipe):
    return {"head": CLASSES[recipe.task]}


@fault("loss_head_mismatch", tasks=CLASSES, wrong_head=True)
def logits_taken_for_probabilities(recipe, rng):
    return {"head": "linear", "loss": SHORT[recipe.task]}


@fault(
    "loss_head_mismatch",
    tasks=CLASSES,
    edits_model=True,
    twin=probabilities,
    wrong_head=True,
)
def probabilities_taken_for_logits(recipe, rng):
    return {"loss": SHORT[recipe.task] + ":logits"}


@fault(
    "loss_head_mismatch",
    "wrong_output_activation",
    tasks=("classes",),
    edits_model=True,
    twin=probabilities,
    wrong_head=True,
)
def sigmoid_for_classes(recipe, rng):
    return {"head": "sigmoid"}


@fault("loss_head_mismatch", tasks=("classes",), edits_model=True, wrong_head=True)
def squared_error_of_class_numbers(recipe, rng):
    return {"head": "softmax", "loss": "mse", "metric": "accuracy"}


@fault("loss_head_mismatch", tasks=("regression",), wrong_head=True)
def cosine_similarity_of_one_target(recipe, rng):
    return {"loss": "cosine"}


@fault(
    "loss_head_mismatch",
    "labels_out_of_range",
    tasks=("regression",),
    edits_model=True,
    wrong_head=True,
)
def crossentropy_for_regression(recipe, rng):
    return {"head": "sigmoid", "loss": "binary"}


@fault(
    "loss_head_mismatch",
    "labels_out_of_range",
    tasks=("regression",),
    wrong_head=True,
)
def poisson_for_negative_targets(recipe, rng):
    return {"loss": "poisson"}


@fault(
    "loss_head_mismatch",
    "wrong_output_activation",
    tasks=("labels",),
    edits_model=True,
    wrong_head=True,
)
def categorical_loss_for_labels(recipe, rng):
    return {"head": "softmax", "loss": "categorical"}


@fault(
    "wrong_output_activation", tasks=("labels",), edits_model=True, wrong_head=True
)  # fmt: skip
def softmax_for_labels(recipe, rng):
    return {"head": "softmax", "loss": "binary"}


@fault(
    "wrong_output_activation", tasks=("binary",), edits_model=True, wrong_head=True
)  # fmt: skip
def softmax_on_one_unit(recipe, rng):
    return {"head": "softmax", "loss": "binary"}


@fault(
    "wrong_output_activation", tasks=("regression",), edits_model=True, wrong_head=True
)  # fmt: skip
def softmax_on_one_target(recipe, rng):
    return {"head": "softmax"}


@fault(
    "wrong_output_activation", tasks=("classes",), edits_model=True, wrong_head=True
)  # fmt: skip
def relu_before_softmax(recipe, rng):
    return {"head": "relu", "edits": ("softmax_layer",), "loss": "sparse"}


@fault(
    "wrong_output_activation", tasks=("regression",), edits_model=True, wrong_head=True
)  # fmt: skip
def relu_head_for_negative_targets(recipe, rng):
    return {"head": "relu"}


@fault(
    "wrong_output_activation", tasks=("regression",), edits_model=True, wrong_head=True
)  # fmt: skip
def bounded_head_for_regression(recipe, rng):
    return {"head": rng.choice(("sigmoid", "tanh"))}


@fault(
    "wrong_output_activation",
    "labels_out_of_range",
    tasks=("regression",),
    edits_model=True,
    wrong_head=True,
)
def bounded_head_for_raw_targets(recipe, rng):
    return {
        "head": rng.choice(("sigmoid", "tanh")),
        "corruptions": (*recipe.corruptions, "raw_targets"),
    }


@fault(
    "wrong_output_activation",
    "loss_head_mismatch",
    tasks=("binary",),
    edits_model=True,
    wrong_head=True,
)
def relu_head_for_binary(recipe, rng):
    return {"head": "relu", "loss": "binary"}


@fault(
    "wrong_num_outputs",
    "loss_head_mismatch",
    "labels_out_of_range",
    tasks=("classes",),
    edits_model=True,
    wrong_head=True,
)
def one_unit_for_classes(recipe, rng):
    return {"outputs": 1, "head": "sigmoid", "loss": "binary"}


@fault(
    "wrong_num_outputs",
    "labels_out_of_range",
    tasks=("classes",),
    wrong_head=True,
)
def too_few_outputs(recipe, rng):
    return {"outputs": NUM_CLASSES.get(recipe.dataset, 10) - rng.choice((1, 2))}


@fault(
    "labels_out_of_range",
    "wrong_num_outputs",
    tasks=("classes",),
    wrong_head=True,
)
def classes_numbered_from_one(recipe, rng):
    return {"corruptions": (*recipe.corruptions, "labels_from_one")}


@fault(
    "labels_out_of_range",
    "loss_head_mismatch",
    tasks=("binary",),
    wrong_head=True,
)
def binary_labels_out_of_range(recipe, rng):
    kinds = ("labels_from_one", "labels_plus_and_minus", "labels_in_percent")
    return {"corruptions": (*recipe.corruptions, rng.choice(kinds))}


@fault(
    "misused_layer",
    "wrong_output_activation",
    "loss_head_mismatch",
    tasks=("classes",),
    edits_model=True,
    twin=probabilities,
    wrong_head=True,
)
def softmax_twice(recipe, rng):
    return {"edits": ("softmax_layer",)}


@fault(
    "misused_layer",
    "wrong_output_activation",
    tasks=("classes",),
    edits_model=True,
    wrong_head=True,
)
def softmax_over_the_batch(recipe, rng):
    return {"head": "linear", "edits": ("softmax_over_batch",), "loss": "sparse"}


@fault(
    "unfit_metric",
    datasets=[name for name, task in TASKS.items() if task == "regression"],
    harm="report",
)
def accuracy_of_regression(recipe, rng):
    return {"metric": "accuracy"}


@fault(
    "unfit_metric",
    tasks=("binary", "labels"),
    twin=lambda recipe: {"head": "linear"},
    harm="report",
)
def accuracy_of_logits_above_one_half(recipe, rng):
    return {"metric": "binary_accuracy"}
