"""Private names that do not exist any more raise an error that names them."""

import keras
import pytest

from zoo.backend import framework_internals, keras_internals


def remove(monkeypatch, owner, name):
    """Removes an attribute from the class that defines it."""
    defining = next(cls for cls in owner.__mro__ if name in vars(cls))
    monkeypatch.delattr(defining, name)


@pytest.mark.parametrize(
    ("owner", "name", "use"),
    [
        (
            keras.optimizers.Optimizer,
            "_get_current_learning_rate",
            lambda: keras_internals.learning_rate_attributes(None),
        ),
        (
            keras.callbacks.EarlyStopping,
            "_set_monitor_op",
            lambda: keras_internals.set_monitor_operation(
                keras.callbacks.EarlyStopping()
            ),
        ),
    ],
)
def test_a_method_that_is_gone(monkeypatch, owner, name, use):
    use()
    remove(monkeypatch, owner, name)
    with pytest.raises(ImportError, match=rf"kerascope uses `\w+\.{name}`, which"):
        use()


def test_an_attribute_that_is_gone():
    optimizer = keras.optimizers.SGD(0.5)
    rate = keras_internals.compiled_learning_rate(optimizer)
    assert rate is optimizer.learning_rate
    del optimizer._learning_rate
    with pytest.raises(ImportError, match="kerascope uses `SGD._learning_rate`"):
        keras_internals.compiled_learning_rate(optimizer)


def test_a_function_that_is_gone(monkeypatch):
    import keras.src.backend

    tensor = keras.ops.ones((1,))
    assert keras_internals.mask_of(tensor) is None
    monkeypatch.delattr(keras.src.backend, "get_keras_mask")
    with pytest.raises(ImportError, match=r"kerascope uses .*\.get_keras_mask`"):
        keras_internals.mask_of(tensor)


@pytest.mark.tensorflow_only(reason="a name of TensorFlow")
def test_a_class_of_tensorflow_that_is_gone(monkeypatch):
    from tensorflow.python.distribute import values

    assert framework_internals.spec_of_replica("spec") == "spec"
    monkeypatch.delattr(values, "PerReplicaSpec")
    with pytest.raises(ImportError, match=r"kerascope uses .*\.PerReplicaSpec`"):
        framework_internals.spec_of_replica("spec")


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="registration with PyTorch"
)
def test_a_registration_that_is_gone(monkeypatch):
    remove(monkeypatch, keras.Layer, "_track_variables")
    with pytest.raises(ImportError, match=r"kerascope uses `keras.Layer._track_var"):
        keras_internals.replace_torch_registration(lambda layer: {})
