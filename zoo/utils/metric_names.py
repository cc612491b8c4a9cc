"""What the names of metrics say."""


def is_accuracy(name: str) -> bool:
    """Returns whether the name of a metric is that of an accuracy, to be maximized.

    Neither Keras nor KerasTuner knows the metrics of our trainers, such as
    "robust_accuracy", and cannot infer whether higher values are better.
    """
    return name.endswith("_accuracy")
