"""Faults of the optimizer, the learning rate, the batches and the regularization."""

from .faults import DENSE, fault

ADAPTIVE = ("adam", "adamw", "nadam", "rmsprop")


def with_batch_norm(recipe):
    return {"normalization": "batch"}


@fault("learning_rate_too_high")
def rate_too_high(recipe, rng):
    factors = (30, 100, 300) if recipe.optimizer in ADAPTIVE else (30, 100)
    return {"rate": recipe.rate * rng.choice(factors), "schedule": "constant"}


@fault("learning_rate_too_high")
def rate_of_one(recipe, rng):
    return {"rate": 1.0, "schedule": "constant"}


@fault("learning_rate_too_low")
def rate_too_low(recipe, rng):
    return {"rate": recipe.rate / rng.choice((100, 300, 1000))}


@fault("learning_rate_too_low", "unfit_optimizer")
def sgd_with_a_rate_for_adam(recipe, rng):
    return {"optimizer": "sgd", "rate": 1e-4, "settings": ()}


@fault("learning_rate_too_low", "unfit_optimizer")
def adadelta_with_its_default_rate(recipe, rng):
    return {"optimizer": "adadelta", "rate": 1e-3, "settings": ()}


@fault("learning_rate_too_low")
def rate_decays_per_step(recipe, rng):
    """A decay that was meant for every epoch is applied at every step."""
    return {"schedule": "collapsing"}


@fault("unfit_optimizer")
def momentum_close_to_one(recipe, rng):
    settings = (("momentum", rng.choice((0.999, 0.9999))),)
    return {"optimizer": "sgd", "rate": 0.03, "settings": settings}


@fault("unfit_optimizer", "learning_rate_too_low")
def huge_epsilon(recipe, rng):
    settings = (("epsilon", rng.choice((10.0, 100.0))),)
    return {"optimizer": "adam", "rate": 1e-3, "settings": settings}


@fault("unfit_optimizer")
def slow_first_moment(recipe, rng):
    settings = (("beta_1", 0.9999), ("beta_2", rng.choice((0.5, 0.9))))
    return {"optimizer": "adam", "rate": 3e-3, "settings": settings}


@fault("unfit_optimizer", "over_regularized")
def strong_weight_decay(recipe, rng):
    settings = (("weight_decay", rng.choice((20.0, 100.0))),)
    return {"optimizer": "adamw", "rate": 2e-3, "settings": settings}


@fault("unfit_optimizer", "learning_rate_too_low")
def tiny_clipping(recipe, rng):
    settings = ((rng.choice(("clipnorm", "global_clipnorm")), 1e-3),)
    return {"optimizer": "sgd", "rate": 0.03, "settings": settings}


@fault("too_few_steps")
def one_epoch(recipe, rng):
    return {"epochs": 1, "batch_size": 128}


@fault("too_few_steps", "unfit_batch_size")
def batch_of_everything(recipe, rng):
    return {"batch_size": recipe.size}


@fault(
    "unfit_batch_size",
    "train_and_inference_differ",
    families=("mlp", "cnn"),
    datasets=("digits", "rings", "breast_cancer", "waves"),
    edits_model=True,
    twin=with_batch_norm,
)
def batch_norm_with_batches_of_two(recipe, rng):
    return {"batch_size": 2, "epochs": 4}


@fault("over_regularized", edits_model=True)
def strong_l2(recipe, rng):
    return {"l2": rng.choice((0.3, 1.0, 3.0))}


@fault("over_regularized")
def dropout_of_nearly_everything(recipe, rng):
    return {"dropout": rng.choice((0.9, 0.95, 0.98))}


@fault(
    "overfitting",
    tasks=("classes", "binary"),
    families=(*DENSE, "cnn"),
    twin=lambda recipe: {
        "corruptions": ("wrong_labels",),
        "size": min(recipe.size, 600),
        "dropout": 0.3,
    },
)
def long_training_on_wrong_labels(recipe, rng):
    return {"width": 256, "dropout": 0.0, "l2": 0.0, "epochs": 6 * recipe.epochs}


@fault(
    "overfitting",
    tasks=("regression",),
    families=DENSE,
    twin=lambda recipe: {"corruptions": ("noisy_targets",), "size": 400},
)
def long_training_on_noise(recipe, rng):
    return {"width": 256, "dropout": 0.0, "l2": 0.0, "epochs": 10 * recipe.epochs}
