"""Faults of the data: scales, targets, order and values."""

from .arrays import IMAGES, TABLES
from .faults import DENSE, fault

NUMBERS = (*IMAGES, *TABLES, "waves")


def corrupted(recipe, *names):
    return {"corruptions": (*recipe.corruptions, *names)}


@fault("inputs_not_scaled", datasets=(*IMAGES, "breast_cancer", "wine", "diamonds"))
def inputs_in_original_units(recipe, rng):
    return corrupted(recipe, "raw_inputs")


@fault("inputs_not_scaled", datasets=NUMBERS)
def inputs_too_large(recipe, rng):
    return corrupted(recipe, "inputs_times_1000")


@fault("inputs_not_scaled", datasets=NUMBERS)
def inputs_shifted(recipe, rng):
    return corrupted(recipe, "inputs_far_from_zero")


@fault("inputs_not_scaled", datasets=(*IMAGES, "waves", "friedman", "labels"))
def inputs_scaled_twice(recipe, rng):
    return corrupted(recipe, "inputs_divided_twice")


@fault("inputs_not_scaled", datasets=TABLES)
def one_column_of_large_values(recipe, rng):
    return corrupted(recipe, "one_huge_column")


@fault(
    "train_and_inference_differ",
    "inputs_not_scaled",
    "data_bug",
    datasets=(*IMAGES, "breast_cancer", "wine", "diamonds"),
)
def only_training_inputs_scaled(recipe, rng):
    return corrupted(recipe, "inputs_scaled_for_training_only")


@fault("labels_out_of_range", tasks=("regression",))
def targets_in_large_units(recipe, rng):
    return corrupted(recipe, "raw_targets")


@fault("labels_out_of_range", tasks=("regression",))
def targets_with_a_large_mean(recipe, rng):
    return corrupted(recipe, "targets_far_from_zero")


@fault("labels_independent_of_inputs")
def training_targets_shuffled(recipe, rng):
    return corrupted(recipe, "shuffled_targets")


@fault("labels_independent_of_inputs")
def all_targets_shuffled(recipe, rng):
    return corrupted(recipe, "shuffled_everywhere")


@fault("labels_independent_of_inputs")
def targets_off_by_one_row(recipe, rng):
    return corrupted(recipe, "rolled_targets")


@fault("labels_independent_of_inputs", "data_bug")
def targets_all_equal(recipe, rng):
    return corrupted(recipe, "constant_targets")


@fault("labels_independent_of_inputs", "data_bug", datasets=IMAGES)
def images_mixed_by_reshape(recipe, rng):
    return corrupted(recipe, "scrambled_images")


@fault("not_finite", "data_bug", datasets=NUMBERS)
def missing_or_infinite_inputs(recipe, rng):
    return corrupted(recipe, rng.choice(("missing_inputs", "infinite_inputs")))


@fault("not_finite", "data_bug", tasks=("regression",))
def missing_or_infinite_targets(recipe, rng):
    return corrupted(recipe, rng.choice(("missing_targets", "one_infinite_target")))


@fault(
    "not_finite",
    "loss_head_mismatch",
    "inputs_not_scaled",
    tasks=("classes",),
    edits_model=True,
    twin=lambda recipe: {"head": "softmax"},
)
def logarithm_of_zero(recipe, rng):
    large = "inputs_times_1000"
    return {"loss": "log_loss", "corruptions": (*recipe.corruptions, large)}


@fault("not_finite", tasks=("regression",))
def root_of_zero(recipe, rng):
    return {"loss": "root"}


@fault(
    "data_bug",
    tasks=("classes", "binary", "regression"),
    twin=lambda recipe: {"normalization": ""},
)
def sorted_and_never_shuffled(recipe, rng):
    return corrupted(recipe, "sorted_by_target") | {"fit": (("shuffle", False),)}


@fault("data_bug", "overfitting")
def copies_of_few_examples(recipe, rng):
    return corrupted(recipe, "few_distinct_examples")


@fault("data_bug", "labels_independent_of_inputs")
def inputs_all_equal(recipe, rng):
    return corrupted(recipe, "inputs_constant")


@fault(
    "data_bug",
    tasks=("classes", "binary"),
    families=DENSE,
    datasets=("fashion_mnist", "digits", "rings", "breast_cancer", "mnist"),
    twin=lambda recipe: {
        "corruptions": ("wrong_labels",),
        "size": min(recipe.size, 600),
        "width": 256,
        "dropout": 0.0,
    },
    harm="report",
)
def validation_examples_in_training(recipe, rng):
    return corrupted(recipe, "leaked_validation")


@fault(
    "misused_layer",
    "inputs_not_scaled",
    datasets=("imdb",),
    edits_model=True,
)
def embedding_of_fractions(recipe, rng):
    return corrupted(recipe, "tokens_divided")
