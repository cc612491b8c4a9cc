"""What does a small network learn about a text by predicting the next character?

The script trains an LSTM on the plays of Shakespeare (`tiny_shakespeare` of TFDS) or on
your own text. It prints a generated text, the most probable next characters, and the
cross-entropy on the validation text. The cross-entropy is computed in two ways: in
windows that each start from an empty state, and over one stream that keeps the state.
The model is saved to `runs/generate/model.keras`.

    python examples/generate.py
    python examples/generate.py --text mine.txt --units 512 512 --epochs 20
"""

import math
from pathlib import Path

import keras
import numpy as np
from common import ExampleParser, at_least, checked, exit_on_error

from zoo import LanguageModel, datasets, lstm
from zoo.datasets.text import PADDING, UNKNOWN, windows
from zoo.utils.files import replacing, writable_folder


def parse_arguments(arguments=None):
    parser = ExampleParser(__doc__)
    parser.add_argument("--text", help="text file (default: tiny_shakespeare)")
    parser.add_argument(
        "--units", type=int, nargs="+", default=[128], help="units of each LSTM layer"
    )
    parser.add_argument("--dropout", type=float, default=0.0, help="dropout rate")
    parser.add_argument("--epochs", type=at_least(1), default=3, help="epochs to train")
    parser.add_argument(
        "--learning-rate",
        type=checked(float, "> 0", lambda value: value > 0),
        default=5e-3,
        help="learning rate of Adam",
    )
    parser.add_argument(
        "--batch-size", type=int, default=64, help="windows of text per step"
    )
    parser.add_argument(
        "--sequence-length",
        type=at_least(1),
        default=64,
        help="characters per window",
    )
    parser.add_argument(
        "--prompt",
        type=checked(str, "at least one character", lambda text: text != ""),
        default="ROMEO:",
        help="text to continue",
    )
    parser.add_argument(
        "--length", type=at_least(0), default=300, help="characters to generate"
    )
    parser.add_argument(
        "--temperature",
        type=checked(float, "a number >= 0", lambda value: 0 <= value < math.inf),
        default=0.8,
        help="randomness of the text; 0 always selects the most probable character",
    )
    parser.add_argument(
        "--top-k",
        type=at_least(1),
        help="sample from the TOP_K most probable characters (default: from all)",
    )
    return parser.parse_args(arguments)


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
    with exit_on_error():
        folder = writable_folder(Path(options.output) / "generate")
        data = load_data(options)
        model = build_model(data, options)
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
