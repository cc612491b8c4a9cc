import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

from callbacks import first_layer_images, plot_first_layer
from zoo import mlp


def test_a_dense_layer_sees_the_flattened_image():
    model = mlp((3, 4, 2), 2, units=(5,))
    kernel = np.arange(24 * 5).reshape(24, 5)
    model.get_layer("hidden_1").set_weights([kernel, np.zeros(5)])
    images = first_layer_images(model)
    assert images.shape == (5, 3, 4, 2)
    # What a unit answers to an image of one bright pixel is its weight.
    np.testing.assert_array_equal(images[3, 1, 2, 1], kernel[(1 * 4 + 2) * 2 + 1, 3])


def test_grey_images_need_no_channel():
    model = mlp((3, 4), 2, units=(5,))
    assert first_layer_images(model).shape == (5, 3, 4, 1)


def test_a_convolution_gives_its_filters():
    layer = keras.layers.Conv2D(6, (3, 2))
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    images = first_layer_images(model)
    assert images.shape == (6, 3, 2, 3)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    np.testing.assert_array_equal(images[4], kernel[..., 4])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_plot_has_an_image_for_every_unit(channels):
    model = mlp((5, 6, channels), 2, units=(7,))
    (ax,) = plot_first_layer(model, max_units=5).axes
    (image,) = ax.images
    height, width = image.get_array().shape[:2]
    assert (height, width) == (2 * 6, 3 * 7)  # with a line between them
    assert plot_first_layer(model, ax=ax) is ax.figure
    assert ax.images[1].get_array().shape[:2] == (3 * 6, 3 * 7)
    plt.close("all")


def test_weights_of_zero_are_drawn():
    model = mlp((2, 2, 1), 2, units=(3,), kernel_initializer="zeros")
    plot_first_layer(model)
    plt.close("all")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "`model`. Expected a built keras.Model. Received: model=None"),
        (keras.Sequential([keras.layers.Dense(2)]), "`model`. Expected a built"),
        (mlp((7,), 2, units=(3,)), r"`model`. Expected inputs of shape \(height"),
        (
            keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten()]),
            "`model`. Expected a dense or convolutional layer",
        ),
        (
            keras.Sequential([keras.Input((2, 2)), keras.layers.Dense(3)]),
            "`model`. Expected a first layer that sees the flattened image",
        ),
    ],
)
def test_a_model_without_such_weights(model, message):
    with pytest.raises(ValueError, match=message):
        first_layer_images(model)


def test_bad_arguments():
    with pytest.raises(ValueError, match="`max_units`. Expected an integer >= 1"):
        plot_first_layer(mlp((2, 2), 2), max_units=0)
