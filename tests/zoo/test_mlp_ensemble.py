"""`mlp(ensemble_size=...)`: members that share weights."""

import keras
import numpy as np
import pytest

from zoo import datasets, mlp
from zoo.adversarial import FGSM, AdversarialTrainer
from zoo.layers import BatchEnsembleDense, PeriodicEmbeddings
from zoo.losses import GaussianNLL

to_numpy = keras.ops.convert_to_numpy


def inputs(count=40):
    return np.random.default_rng(0).normal(size=(count, 3)).astype("float32")


def members(model, x):
    """Returns the outputs of shape `(batch, ensemble_size, outputs)`."""
    return to_numpy(model(x, training=True))


def spread(model):
    """Moves all weights, so that the members differ in all layers."""
    generator = np.random.default_rng(1)
    weights = model.get_weights()
    model.set_weights([w + 0.3 * generator.normal(size=w.shape) for w in weights])
    return model


def reference(model, units, outputs):
    """Returns the model of `tabm` with the same weights."""
    torch = pytest.importorskip("torch", reason="the reference is written in it")
    tabm = pytest.importorskip("tabm", reason="it is the reference")
    peer = tabm.TabM(
        n_num_features=3,
        d_out=outputs,
        n_blocks=len(units),
        d_block=units[0],
        dropout=0.0,
        k=4,
        arch_type="tabm",
        start_scaling_init="random-signs",
    )
    with torch.no_grad():
        for index, block in enumerate(peer.backbone.blocks, start=1):
            layer = model.get_layer(f"hidden_{index}")
            kernel, r, s, bias = map(to_numpy, layer.weights)
            for parameter, values in zip(
                (block[0].weight, block[0].r, block[0].s, block[0].bias),
                (kernel.T, r, s, bias),
                strict=True,
            ):
                parameter.copy_(torch.as_tensor(np.array(values)))
        kernel, bias = map(to_numpy, model.get_layer("head").weights)
        peer.output.weight.copy_(torch.as_tensor(np.array(kernel)))
        peer.output.bias.copy_(torch.as_tensor(np.array(bias)))
    return torch, peer


def test_the_members_are_those_of_the_reference():
    x, units = inputs(), (6, 6)
    model = spread(mlp((3,), 2, units=units, ensemble_size=4))
    torch, peer = reference(model, units, 2)
    expected = peer(torch.as_tensor(x)).detach().numpy()
    np.testing.assert_allclose(members(model, x), expected, rtol=1e-4, atol=1e-4)


def test_each_member_is_an_mlp_with_a_kernel_times_a_matrix_of_rank_1():
    x = inputs()
    model = spread(mlp((3,), 2, units=(6, 4), ensemble_size=3))
    received = members(model, x)
    for member in range(3):
        plain = mlp((3,), 2, units=(6, 4))
        for name in ("hidden_1", "hidden_2"):
            kernel, r, s, bias = map(to_numpy, model.get_layer(name).weights)
            kernel = kernel * np.outer(r[member], s[member])
            plain.get_layer(name).set_weights([kernel, bias[member]])
        kernels, biases = map(to_numpy, model.get_layer("head").weights)
        plain.get_layer("head").set_weights([kernels[member], biases[member]])
        expected = to_numpy(plain(x))
        np.testing.assert_allclose(received[:, member], expected, rtol=1e-4, atol=1e-4)


def test_predictions_are_the_average_of_the_members():
    x = inputs()
    model = spread(mlp((3,), 2, units=(6,), ensemble_size=4))
    assert model.output_shape == (None, 2)
    average = members(model, x).mean(axis=1)
    np.testing.assert_allclose(to_numpy(model(x)), average, rtol=1e-4, atol=1e-5)
    predicted = model.predict(x, verbose=0)
    np.testing.assert_allclose(predicted, average, rtol=1e-4, atol=1e-5)


def of_classes(x):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return np.arange(len(x)) % 2, loss, "accuracy", 2


def of_labels(x):
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return (x[:, :2] > 0).astype("int32"), loss, "binary_accuracy", 2


def of_numbers(x):
    return x[:, :1], keras.losses.MeanAbsoluteError(reduction="sum"), "mse", 1


@pytest.mark.parametrize("task", [of_classes, of_labels, of_numbers])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_member_is_trained_on_its_own_loss(task, weighted):
    x = inputs()
    y, loss, metric, outputs = task(x)
    weights = np.linspace(0, 2, len(x)).astype("float32") if weighted else None
    model = spread(mlp((3,), outputs, units=(6,), ensemble_size=4))
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=[metric])
    every = members(model, x)
    means = [float(loss(y, every[:, i], sample_weight=weights)) for i in range(4)]
    logs = model.train_on_batch(x, y, sample_weight=weights, return_dict=True)
    assert logs["loss"] == pytest.approx(np.mean(means), rel=1e-4)
    # The metric, and everything in evaluation, is that of the average prediction.
    average = every.mean(axis=1)
    tested = model.test_on_batch(x, y, sample_weight=weights, return_dict=True)
    expected = float(loss(y, average, sample_weight=weights))
    assert tested["loss"] == pytest.approx(expected, rel=1e-4)
    assert tested["loss"] < logs["loss"]
    assert tested[metric] == pytest.approx(logs[metric], rel=1e-5)


def test_members_start_with_different_signs_of_the_columns():
    layer = mlp((3,), 2, units=(5, 5), ensemble_size=64).get_layer("hidden_1")
    signs = to_numpy(layer.r)
    assert set(np.unique(signs)) == {-1, 1}
    assert np.abs(signs.mean(axis=0)).max() < 0.5


def test_embeddings_of_a_column_start_with_one_scale():
    embeddings = PeriodicEmbeddings(4)
    model = mlp(
        (3,), 2, units=(5, 5), ensemble_size=50, numerical_embeddings=embeddings
    )
    scales = to_numpy(model.get_layer("hidden_1").r).reshape(50, 3, 4)
    assert np.ptp(scales, axis=-1).max() == 0
    assert np.std(scales[..., 0]) == pytest.approx(1, abs=0.2)
    np.testing.assert_array_equal(to_numpy(model.get_layer("hidden_2").r), 1)


def test_the_first_outputs_are_near_zero():
    outputs = members(mlp((3,), 2, ensemble_size=8), inputs())
    assert 0.01 < np.std(outputs) < 0.6


def test_postprocessing_is_applied_to_each_member():
    x = inputs()
    y = 1000 + 50 * x[:, :1]
    data = datasets.from_arrays((x, y))
    model = mlp(
        (3,), 1, units=(5,), ensemble_size=3, postprocessing=data.denormalization()
    )
    assert members(model, x).shape == (40, 3, 1)
    assert 900 < float(np.mean(members(model, x))) < 1100
    assert 900 < float(np.mean(to_numpy(model(x)))) < 1100


@pytest.mark.heavy
def test_fit_evaluate_save_and_continue(tmp_path):
    data = datasets.from_arrays((inputs(300), inputs(300)[:, 0] * 3 + 1), batch_size=50)
    model = mlp(
        (3,), 1, units=(16,), ensemble_size=4, dropout=0.1, normalization="layer"
    )
    model.compile(keras.optimizers.Adam(0.01), data.loss, metrics=data.metrics)
    options = {"epochs": 15, "shuffle": False, "verbose": 0}
    history = model.fit(data.train, validation_data=data.validation, **options).history
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    assert {"rmse", "val_rmse", "val_loss"} <= history.keys()
    scores = model.evaluate(data.validation, verbose=0, return_dict=True)
    assert scores["rmse"] ** 2 == pytest.approx(scores["loss"], rel=1e-3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = inputs()
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    logs = loaded.fit(data.train, shuffle=False, verbose=0).history
    assert logs["loss"][0] < 0.2 * history["loss"][0]
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(to_numpy(clone(x)), to_numpy(model(x)))
    assert type(clone) is type(model)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda: mlp((3,), 2, ensemble_size=0),
            "`ensemble_size`. Expected an integer >= 1",
        ),
        (
            lambda: mlp((3,), 2, ensemble_size=2, activation="maxout"),
            "`ensemble_size`. Expected 1 with Maxout",
        ),
        (lambda: mlp((3,), 2, ensemble_size=2, units=()), "or no hidden layer"),
        (lambda: mlp((3,), 2, ensemble_size=2, drop_connect=0.1), "`drop_connect`"),
        (
            lambda: mlp((3,), 1, ensemble_size=2, learn_noise=True),
            "`ensemble_size`. Expected 1 with",
        ),
        (
            lambda: BatchEnsembleDense(2, 3)(np.ones((5, 4, 2))),
            "`inputs`. Expected shape .batch, 3, features. or",
        ),
        (
            lambda: BatchEnsembleDense(2, 3, column_size=2)(np.ones((5, 3))),
            "with a multiple of 2 features",
        ),
        (
            lambda: BatchEnsembleDense(2, 3, column_size=[1, 3])(np.ones((5, 3))),
            "with the number of features in `column_size`",
        ),
        (
            lambda: BatchEnsembleDense(2, 3, column_size=[1, 0]),
            "`column_size`. Expected an integer >= 1",
        ),
        (
            lambda: BatchEnsembleDense(2, 3, input_scales="signs"),
            "`input_scales`. Expected one of 'ones', 'random_signs', 'normal'",
        ),
        (
            lambda: AdversarialTrainer(mlp((3,), 2, ensemble_size=2), FGSM(0.1)),
            "`model`. Expected a model without members",
        ),
    ],
)
def test_errors(use, message):
    with pytest.raises(ValueError, match=message):
        use()


def test_a_loss_of_another_number_of_outputs_is_an_error():
    x = inputs()
    model = mlp((3,), 1, units=(4,), ensemble_size=3)
    model.compile("adam", GaussianNLL())
    with pytest.raises(ValueError, match="Invalid shape of y_pred. Expected means and"):
        model.fit(x, x[:, :1], verbose=0)
