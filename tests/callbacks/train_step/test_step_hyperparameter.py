import keras

from callbacks.train_step import StepHyperparameter


def test_a_step_hyperparameter_computes_as_its_tensor():
    held = StepHyperparameter()
    held.tensor = keras.ops.convert_to_tensor(0.25)
    assert held != 0
    assert held > 0
    assert float(keras.ops.cast(held, "float32")) == 0.25
    assert float(keras.ops.multiply(held, 2.0)) == 0.5
    assert float(held - 1.0) == -0.75
