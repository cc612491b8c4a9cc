"""What does a small network learn of a text by guessing the next character?

Trains an LSTM on the plays of Shakespeare (`tiny_shakespeare`, where TFDS has it
prepared) or on a text of yours, and prints what it writes, its most probable next
characters, and how well it predicts the validation text: in windows that each start
cold, and as one stream whose state goes on. The model is saved to
`runs/generate/model.keras`.

    python examples/generate.py
    python examples/generate.py --text mine.txt --units 512 512 --epochs 20
"""

import argparse
import math
import sys
from pathlib import Path

import keras
import numpy as np

from zoo import LanguageModel, datasets, lstm
from zoo.datasets.text import PADDING, UNKNOWN, windows
from zoo.utils.files import replacing, writable_folder


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--text", help="a text file; default: tiny_shakespeare")
    parser.add_argument("--units", type=int, nargs="+", default=[128])
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--sequence-length", type=int, default=64)
    parser.add_argument("--prompt", default="ROMEO:", help="what stands before")
    parser.add_argument("--length", type=int, default=300, help="characters to write")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-k", type=int, help="default: draw from all characters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="runs", help="folder of the results")
    options = parser.parse_args(arguments)
    for name, expected, is_right in (
        ("epochs", ">= 1", options.epochs >= 1),
        ("learning_rate", "> 0", options.learning_rate > 0),
        ("sequence_length", ">= 1", options.sequence_length >= 1),
        ("prompt", "at least one character", options.prompt != ""),
        ("length", ">= 0", options.length >= 0),
        ("temperature", "a number >= 0", 0 <= options.temperature < math.inf),
        ("top_k", ">= 1", options.top_k is None or options.top_k >= 1),
        ("seed", f"0 to {2**32 - 1}", 0 <= options.seed < 2**32),
    ):
        if not is_right:
            flag, received = name.replace("_", "-"), getattr(options, name)
            parser.error(f"argument --{flag}: expected {expected}, received {received}")
    return options


def load_data(options):
    shared = {"batch_size": options.batch_size, "seed": options.seed}
    length = options.sequence_length
    if options.text is None:
        return datasets.load("tiny_shakespeare", sequence_length=length, **shared)
    text = Path(options.text).read_text(encoding="utf-8")
    vocabulary = [PADDING, UNKNOWN, *sorted(set(text))]
    ids = {character: index for index, character in enumerate(vocabulary)}
    arrays = windows(np.array([ids[character] for character in text]), length)
    return datasets.from_arrays(
        arrays, vocabulary=vocabulary, name=Path(options.text).stem, **shared
    )


def build_model(data, options):
    model = lstm(
        data.input_shape,
        data.num_outputs,
        vocabulary_size=len(data.vocabulary),
        units=options.units,
        dropout=options.dropout,
        return_sequences=True,
    )
    optimizer = keras.optimizers.Adam(options.learning_rate, clipnorm=1.0)
    model.compile(optimizer, data.loss, metrics=data.metrics)
    return model


def main(arguments=None):
    options = parse_arguments(arguments)
    keras.utils.set_random_seed(options.seed)
    try:
        folder = writable_folder(writable_folder(options.output) / "generate")
        data = load_data(options)
        model = build_model(data, options)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(data)
    print(f"{model.name}: {model.count_params():,} parameters")
    model.fit(data.train, epochs=options.epochs, shuffle=False)
    with replacing(folder / "model.keras") as path:
        model.save(path)

    language_model = LanguageModel(model, data.vocabulary)
    cold = model.evaluate(data.validation, verbose=0)[0]
    stream = language_model.nats_per_token(data.validation)
    print(f"validation: {cold:.3f} nats per token in windows, {stream:.3f} streaming")
    print(f"after {options.prompt!r}:")
    print(language_model.next_tokens(options.prompt, top_k=5).to_string())
    written = language_model.generate(
        options.prompt,
        options.length,
        temperature=options.temperature,
        top_k=options.top_k,
        seed=options.seed,
    )
    print(options.prompt + written)


if __name__ == "__main__":
    main()
