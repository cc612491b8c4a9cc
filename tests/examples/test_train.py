import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits


@pytest.fixture
def train(root, monkeypatch):
    """The example's `main`, in this process."""
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("train", None)
    import train

    yield train.main
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def arrays(tmp_path):
    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels * (255 / 16)).astype("uint8").reshape(-1, 8, 8)
    np.savez(
        tmp_path / "mine.npz",
        x_train=images[:1500],
        y_train=labels[:1500],
        x_test=images[1500:],
        y_test=labels[1500:],
    )
    return str(tmp_path / "mine.npz")


@pytest.mark.heavy
@pytest.mark.one_backend
def test_arrays(train, arrays, tmp_path, capsys):
    train(["--arrays", arrays, "--epochs", "5", "--output", str(tmp_path / "runs")])
    folder = tmp_path / "runs" / "mine"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("curves.png", "history.csv", "model.keras")
    ]
    history = pd.read_csv(folder / "history.csv", index_col="epoch")
    assert history.index.tolist() == [1, 2, 3, 4, 5]
    printed = capsys.readouterr().out
    best = history["val_accuracy"].max()
    assert keras.backend.backend() in printed

    model = keras.saving.load_model(folder / "model.keras")
    with np.load(arrays) as file:
        x, y = file["x_test"][..., None] / np.float32(255), file["y_test"]
    accuracy = (model.predict(x, verbose=0).argmax(axis=1) == y).mean()
    assert accuracy > 0.8
    assert f"validation accuracy {best:.4f}, test accuracy {accuracy:.4f}" in printed


@pytest.mark.heavy
@pytest.mark.one_backend
def test_the_picture_shows_the_printed_figures(train, tmp_path, capsys, monkeypatch):
    figures = []
    monkeypatch.setattr(
        sys.modules["train"],
        "save_picture",
        lambda figure, path: figures.append(figure),
    )
    train(["--units", "32", "--epochs", "4", "--output", str(tmp_path)])
    (figure,) = figures
    plt.close(figure)
    loss, accuracy, ratio, rate = (panel.get_ylabel() for panel in figure.axes)
    assert (loss, accuracy, rate) == ("loss", "accuracy", "learning rate")
    assert ratio.startswith("update ratio")
    title = figure.get_suptitle()
    assert title in capsys.readouterr().out

    history = pd.read_csv(tmp_path / "digits" / "history.csv", index_col="epoch")
    best = history.loc[int(title.split("best epoch ")[1].split(":")[0])]
    printed = title.split("update ratio ")[1].split(", learning rate ")
    np.testing.assert_allclose(
        [float(number) for number in printed],
        best[["update_ratio", "learning_rate"]],
        rtol=0.05,
    )
    # After a warm-up of one epoch, the cosine: the last of its 33 steps is at 32 / 33.
    last = 1e-3 * (1 + np.cos(np.pi * 32 / 33)) / 2
    np.testing.assert_allclose(history["learning_rate"].iloc[-1], last, rtol=1e-3)


@pytest.mark.heavy
def test_a_training_that_is_run_again_is_resumed(train, arrays, tmp_path, capsys):
    options = ["--arrays", arrays, "--units", "8", "--epochs", "2", "--resume"]
    options += ["--output", str(tmp_path / "runs")]
    train(options)
    first = capsys.readouterr().out.splitlines()
    train(options)
    again = capsys.readouterr().out.splitlines()
    assert "Training has already ended, after epoch 2." in again
    assert again[-3:-1] == first[-3:-1]
    assert len(pd.read_csv(tmp_path / "runs" / "mine" / "history.csv")) == 2


@pytest.mark.heavy
def test_default_dataset_and_options(train, tmp_path, capsys):
    options = "--units 32 --epochs 2 --batch-size 64 --seed 3 --learning-rate 0.01"
    output = ["--mixed-precision", "bfloat16", "--output", str(tmp_path)]
    train([*options.split(), "--no-xla", *output])
    printed = capsys.readouterr().out
    assert f"mlp: {64 * 32 + 32 + 33 * 10:,} parameters" in printed
    model = keras.saving.load_model(tmp_path / "digits" / "model.keras")
    assert model.get_layer("hidden_1").compute_dtype == "bfloat16"


@pytest.mark.heavy
@pytest.mark.one_backend
def test_a_training_that_diverges_says_so(train, tmp_path):
    options = "--dataset diabetes --learning-rate 1e38 --epochs 2 --units 16"
    with pytest.raises(SystemExit, match="training diverged.*--learning-rate 1e.38"):
        train([*options.split(), "--output", str(tmp_path)])
    assert not list((tmp_path / "diabetes").iterdir())


@pytest.mark.heavy
@pytest.mark.one_backend
def test_regression(train, tmp_path, capsys):
    train(["--dataset", "diabetes", "--epochs", "10", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    rmse = float(printed.split("test rmse ")[-1].split()[0])
    assert rmse < 70  # that of the mean of all targets is 77


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--units", "0"], "`units`. Expected a sequence of integers >= 1"),
        (["--dropout", "1.5"], r"`dropout`. Expected a float in \[0, 1\)"),
        (["--batch-size", "0"], "`batch_size`. Expected an integer >= 1"),
        (["--dataset", "digit"], "Did you mean 'digits'"),
        (["--arrays", "none.npz"], "`train`. Expected"),
        (["--output", "FILE/runs"], "Cannot write to folder"),
    ],
)
def test_bad_options_end_with_one_sentence(train, tmp_path, arguments, message):
    (tmp_path / "file").write_text("a file, where even root can make no folder")
    if "--output" not in arguments:
        arguments = [*arguments, "--output", str(tmp_path)]
    arguments = [a.replace("FILE", str(tmp_path / "file")) for a in arguments]
    with pytest.raises(SystemExit, match=message):
        train(arguments)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "argument --epochs: expected >= 1, received 0"),
        (["--learning-rate", "-1"], "argument --learning-rate: expected > 0"),
        (["--seed", "-1"], "argument --seed: expected 0 to 4294967295, received -1"),
        (["--mixed-precision", "float8"], "invalid choice"),
        (["--dataset", "mnist", "--arrays", "a.npz"], "not allowed with"),
    ],
)
def test_bad_options_of_the_parser(train, arguments, message, capsys):
    with pytest.raises(SystemExit):
        train(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.heavy
@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("options", "layer", "accuracy"),
    [
        (["--model", "res_mlp", "--units", "64", "--blocks", "2"], "block_2", 0.85),
        (
            ["--model", "lstm", "--units", "48", "--learning-rate", "0.01"],
            "hidden_1",
            0.8,
        ),
    ],
)
def test_other_builders(train, arrays, tmp_path, options, layer, accuracy):
    train(["--arrays", arrays, "--epochs", "6", "--output", str(tmp_path), *options])
    model = keras.saving.load_model(tmp_path / "mine" / "model.keras")
    assert model.get_layer(layer)
    history = pd.read_csv(tmp_path / "mine" / "history.csv", index_col="epoch")
    assert history["val_accuracy"].max() > accuracy


@pytest.mark.slow
@pytest.mark.real_data("tiny_shakespeare")
def test_a_language_model(train, tmp_path, capsys):
    options = ["--units", "32", "--epochs", "2", "--learning-rate", "0.01"]
    options += ["--output", str(tmp_path)]
    train(["--dataset", "tiny_shakespeare", *options])
    assert "lstm: " in capsys.readouterr().out
    history = pd.read_csv(tmp_path / "tiny_shakespeare" / "history.csv")
    assert history["val_accuracy"].iloc[-1] > 0.17  # always a space: 0.15


@pytest.mark.one_backend
@pytest.mark.slow
@pytest.mark.real_data("imdb_reviews")
def test_an_mlp_on_text_is_refused(train, tmp_path):
    options = ["--dataset", "imdb_reviews", "--model", "mlp"]
    with pytest.raises(SystemExit, match="token ids, which are not quantities"):
        train([*options, "--output", str(tmp_path)])


@pytest.mark.one_backend
def test_an_lstm_on_a_table_is_refused(train, tmp_path):
    options = ["--dataset", "diabetes", "--model", "lstm"]
    with pytest.raises(SystemExit, match="A table has no order of time"):
        train([*options, "--output", str(tmp_path)])


@pytest.mark.one_backend
def test_a_res_mlp_has_one_width(train, tmp_path):
    options = ["--model", "res_mlp", "--units", "8", "8"]
    with pytest.raises(SystemExit, match="A res_mlp has one width.*8, 8"):
        train([*options, "--output", str(tmp_path)])
