import sys

import keras
import pytest

from zoo import LanguageModel

pytestmark = pytest.mark.one_backend

SMALL = ["--units", "8", "--epochs", "1", "--sequence-length", "8", "--length", "12"]


@pytest.fixture
def main(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "examples"))
    sys.modules.pop("generate", None)
    import generate

    return generate.main


@pytest.mark.heavy
def test_it_writes_a_text_and_a_table(main, tmp_path, capsys):
    text = tmp_path / "rhyme.txt"
    text.write_text("one two three four five six seven " * 40, encoding="utf-8")
    arguments = ["--text", str(text), "--prompt", "one t", "--output", str(tmp_path)]
    main([*arguments, *SMALL])
    printed = capsys.readouterr().out
    nats = printed.split("validation: ")[1].split()
    assert 0 < float(nats[0]) < 4
    assert 0 < float(nats[6]) < 4
    table, written = printed.split("after 'one t':\n")[1].split("\none t")
    assert len(table.splitlines()) == 2 + 5
    assert len(written.rstrip("\n")) == 12

    model = keras.saving.load_model(tmp_path / "generate" / "model.keras")
    vocabulary = ["", "[UNK]", *sorted(set(text.read_text(encoding="utf-8")))]
    language_model = LanguageModel(model, vocabulary)
    again = language_model.generate("one t", 12, temperature=0.8, seed=0)
    assert again == written.rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs: expected >= 1, received 0"),
        (["--learning-rate", "nan"], "--learning-rate: expected > 0, received nan"),
        (["--sequence-length", "0"], "--sequence-length: expected >= 1, received 0"),
        (["--prompt", ""], "--prompt: expected at least one character"),
        (["--length", "-1"], "--length: expected >= 0, received -1"),
        (["--temperature", "-1"], "--temperature: expected a number >= 0"),
        (["--top-k", "0"], "--top-k: expected >= 1, received 0"),
        (["--seed", "-1"], "--seed: expected 0 to 4294967295, received -1"),
    ],
)
def test_bad_options_are_refused_before_any_work(
    main, tmp_path, arguments, message, capsys
):
    with pytest.raises(SystemExit):
        main([*arguments, "--output", str(tmp_path / "runs")])
    assert f"error: argument {message}" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_text_that_is_not_there(main, tmp_path):
    with pytest.raises(SystemExit, match="error: .*No such file"):
        main(["--text", str(tmp_path / "none.txt"), "--output", str(tmp_path)])
