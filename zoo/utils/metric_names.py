"""Direction of metrics, inferred from their names."""


def is_accuracy(name: str) -> bool:
    """Returns whether a metric is an accuracy, so that higher values are better.

    Keras and KerasTuner cannot infer this for metrics that they do not know, such as
    the "robust_accuracy" of `zoo.adversarial.AdversarialTrainer`.
    """
    return name.endswith("_accuracy")
