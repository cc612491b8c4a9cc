"""Batches that several devices cannot share evenly, with `keras.distribution`."""

import keras

from .keras_fit_internals import replace_batch_distribution


def copy_uneven_batches() -> None:
    """Makes Keras copy a batch to all devices if they cannot share it evenly.

    With `keras.distribution` on JAX, every device gets an equal part of each batch.
    Keras (3.15) leaves it to JAX to raise an error if the size of a batch is not a
    multiple of the number of devices, as is the case for the last batch of most
    datasets. After a call to this function, every device computes the whole of such a
    batch instead, so that losses, metrics and gradients are the same as on one device.

    Other ways to share such a batch change the results:

    - Padding with examples of weight 0: Keras ignores weights in `metrics`, and weighs
      the losses of batches by their sizes, including the padding.
    - Smaller batches: if the number of examples is not a multiple of the number of
      devices, neither are all batches. Dropped examples are missing in the metrics.

    The function has no effect if the backend is not JAX.

    Raises:
        ImportError: If the private function of Keras that this function replaces does
            not exist.
    """
    if keras.backend.backend() == "jax":
        replace_batch_distribution(_distribute)


def _distribute(own, batch, layout, batch_dim_name: str):
    """Distributes one tensor of a batch.

    Args:
        own: Keras' own function of the other arguments.
        batch: Tensor of the batch, or the part that belongs to this process.
        layout: Layout of the tensor, or `None` if the tensor is `None`.
        batch_dim_name: Name of the axis of the device mesh that shares batches.
    """
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    if layout is None:
        return own(batch, layout, batch_dim_name)
    mesh = getattr(layout, "backend_layout", layout).mesh
    parts = max(1, mesh.shape[batch_dim_name] // jax.process_count())
    size = batch.shape[0]
    if size % parts:
        if jax.process_count() > 1:  # no process has the whole batch
            raise ValueError(
                "The devices cannot share a batch evenly. Expected a number of "
                f"examples that is a multiple of {parts}, the number of devices of "
                f"this process. Received: {size} examples.\nWith several "
                "processes, drop examples until the batches of all processes have "
                "the same sizes, which are multiples of their numbers of devices."
            )
        layout = NamedSharding(mesh, PartitionSpec())
    return own(batch, layout, batch_dim_name)
