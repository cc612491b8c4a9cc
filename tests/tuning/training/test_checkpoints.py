import keras
import keras_tuner
import numpy as np
import pytest

from tuning import RandomSearch

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
Y = X[:, :1]


def adapted(quantization: str | None):
    """Returns a hypermodel that trains a LoRA adapter on a dense layer."""

    def build(hp):
        layer = keras.layers.Dense(8)
        model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(1)])
        if quantization:
            layer.quantize(quantization)
        layer.enable_lora(2)
        rate = hp.Float("rate", 0.01, 0.1, sampling="log")
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    return build


def search_in(folder, build, **options):
    search = RandomSearch(
        build,
        keras_tuner.Objective("val_loss", "min"),
        max_trials=2,
        seed=0,
        directory=folder,
        **options,
    )
    search.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    return search


def test_weights_with_an_adapter_predict_as_they_did(tmp_path):
    search = search_in(tmp_path, adapted(None))
    model = search.best_model()
    loss = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    np.testing.assert_allclose(loss, search.results()["score"].min(), rtol=1e-5)


@pytest.mark.heavy
def test_an_adapter_on_a_quantized_layer_is_refused(tmp_path):
    with pytest.raises(ValueError, match="quantized layer(.|\n)*`checkpoints=0`"):
        search_in(tmp_path, adapted("int8"))
    search = search_in(tmp_path, adapted("int8"), checkpoints=0, project_name="none")
    assert np.isfinite(search.results()["score"]).all()
