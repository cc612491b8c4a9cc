"""Tables of pandas as data: what becomes of columns and labels."""

import datetime
import decimal

import keras
import numpy as np
import pandas as pd
import pytest

from zoo import mlp
from zoo.datasets import from_arrays

COUNT = 40
Y = np.arange(COUNT) % 2
FRAME = pd.DataFrame({"age": np.arange(COUNT) / 2, "town": ["c", "a", "d", "b"] * 10})
TOWNS = pd.CategoricalDtype(["d", "c", "b", "a", "e"])
LABELS = pd.Series(["no", "yes"] * 20)
DATES = pd.DataFrame(dict.fromkeys(("from", "to"), pd.date_range("2020", periods=40)))


def x_of(frame, **arguments):
    """The stored inputs of train, with the names of their columns."""
    data = from_arrays((frame, Y), validation=0, **arguments)
    return data.train.arrays.x, data.feature_names


def y_of(y, part="train", **arguments):
    return getattr(from_arrays((FRAME, y), validation=0, **arguments), part).arrays.y


def test_strings_are_the_one_hot_columns_of_pandas():
    x, names = x_of(FRAME)
    expected = pd.get_dummies(FRAME, prefix_sep="=")
    assert names == expected.columns.tolist()
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, expected.to_numpy("float32"))


def test_one_hot_columns_are_where_the_names_say():
    frame = FRAME.assign(kind=pd.Categorical(["x", "y"] * 20), size=2.0)
    frame = frame[["town", "age", "kind", "size"]].rename(columns={"town": "a=b"})
    data = from_arrays((frame, Y), validation=0)
    assert data.one_hot_columns == {"a=b": (0, 4), "kind": (5, 7)}
    names = data.feature_names
    assert names[0:4] == [f"a=b={town}" for town in "abcd"]
    assert names[5:7] == ["kind=x", "kind=y"]
    assert from_arrays((FRAME[["age"]], Y)).one_hot_columns == {}
    assert from_arrays((FRAME[["age"]].to_numpy(), Y)).one_hot_columns is None


@pytest.mark.parametrize("method", ["standard", "quantile"])
def test_normalization_leaves_one_hot_columns_alone(method):
    frame = FRAME[["town", "age"]]
    data = from_arrays((frame, Y), validation=0)
    x = data.train.arrays.x
    out = keras.ops.convert_to_numpy(data.normalization(method)(x))
    np.testing.assert_array_equal(out[:, :4], x[:, :4])
    numbers = from_arrays((x[:, 4:], Y), validation=0).normalization(method)
    expected = keras.ops.convert_to_numpy(numbers(x[:, 4:]))
    np.testing.assert_array_equal(out[:, 4:], expected)


def test_a_categorical_column_has_the_columns_of_its_type():
    x, names = x_of(FRAME.astype({"town": TOWNS}))
    assert names == ["age", *(f"town={town}" for town in "dcbae")]
    right = np.array(list("dcbae"))[None] == FRAME.town.to_numpy(str)[:, None]
    np.testing.assert_array_equal(x[:, 1:], right)


@pytest.mark.parametrize(
    "values",
    [
        [True, False] * 20,
        pd.array([True, False] * 20, dtype="boolean"),
        pd.array([1, 0] * 20, dtype="Int64"),
        pd.array([1.0, 0.0] * 20, dtype="Float64"),
        pd.arrays.SparseArray([1, 0] * 20),
        np.array([True, False] * 20, dtype=object),
        np.array([1, 0] * 20, dtype=object),
        np.array([1, 0] * 20, dtype="uint8"),
        [decimal.Decimal(1), decimal.Decimal(0)] * 20,
    ],
    ids=lambda values: str(getattr(values, "dtype", type(values[0]))),
)
def test_numbers_and_booleans_of_every_type_stay_a_column(values):
    x, names = x_of(pd.DataFrame({"age": FRAME.age, "flag": values}))
    assert names == ["age", "flag"]
    np.testing.assert_array_equal(x[:, 1], [1, 0] * 20)


@pytest.mark.heavy
def test_dummies_of_pandas_train():
    data = from_arrays((pd.get_dummies(FRAME), Y), test=0.2)
    model = mlp(data.input_shape, 2, units=(4,), preprocessing=data.normalization())
    model.compile("adam", data.loss, metrics=data.metrics)
    model.fit(data.train, validation_data=data.validation, shuffle=False, verbose=0)


def test_other_splits_are_encoded_as_train_is():
    other = FRAME.iloc[::-1][["town", "age"]]
    other = other[other.town != "a"]  # and so with another set of strings
    data = from_arrays((FRAME, Y), test=(other, Y[:30]), validation=(other, Y[:30]))
    right = x_of(FRAME)[0][::-1]
    right = right[right[:, 1] == 0]  # "town=a"
    for part in (data.validation, data.test):
        np.testing.assert_array_equal(part.arrays.x, right)


def test_a_fraction_may_hold_what_train_has_not():
    frame = FRAME.assign(town=["a"] * 30 + ["b"] * 10)
    data = from_arrays((frame, Y), test=0.25, validation=0)
    assert data.feature_names == ["age", "town=a", "town=b"]
    np.testing.assert_array_equal(data.test.arrays.x[:, 1:], [[0, 1]] * 10)


def test_rows_belong_together_by_position():
    x, y = FRAME.set_index(FRAME.index[::-1]), pd.Series(Y, index=Y + 7)
    data = from_arrays((x, y), validation=0)
    np.testing.assert_array_equal(data.train.arrays.x[:, 0], FRAME.age)
    np.testing.assert_array_equal(data.train.arrays.y, Y)


def test_names_of_columns():
    columns = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    assert x_of(pd.DataFrame(np.ones((COUNT, 2)), columns=columns))[1] == ["a/1", "a/2"]
    assert x_of(pd.DataFrame(np.ones((COUNT, 2))))[1] == ["0", "1"]
    assert x_of(np.ones((COUNT, 2)))[1] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.date_range("2020", periods=COUNT), "datetime64.*\n.*days since"),
        (pd.date_range("2020", periods=COUNT, tz="UTC"), "datetime64"),
        ([datetime.date(2020, 1, 1)] * COUNT, "date values.*\n.*days since"),
        (pd.to_timedelta(range(COUNT), "D"), "timedelta64.*\n.*total_seconds"),
        (pd.period_range("2020", periods=COUNT), "period"),
        ([1j] * COUNT, "complex"),
        ([b"a"] * COUNT, "bytes.*\n.*decode"),
        (["a", 1] * 20, "mixed-integer"),
        ([[1, 2]] * COUNT, "mixed"),
        ([np.nan, *range(39)], "1 missing of 40, first in row 0\n.*dropna.*fillna"),
        (pd.array([1, None] * 20, dtype="Int64"), "20 missing of 40, first in row 1"),
        (["a", None] * 20, "20 missing"),
        (pd.Categorical(["a", None] * 20), "20 missing"),
        ([np.inf, *range(39)], "finite numbers.*inf.* in row 0"),
        ([1e300] * COUNT, "finite numbers in the range of float32"),
    ],
)
def test_a_column_that_is_refused_is_named(values, message):
    frame = FRAME.assign(other=values)
    with pytest.raises(ValueError, match=f"column 'other' in x of train.*{message}"):
        from_arrays((frame, Y))
    numbers = FRAME.assign(other=1.0)
    with pytest.raises(ValueError, match="column 'other' in x of test"):
        from_arrays((numbers, Y), test=(frame, Y))


def test_a_column_that_identifies_rows():
    frame = pd.DataFrame({"id": [f"row {i}" for i in range(1001)]})
    with pytest.raises(ValueError, match="column 'id'.*at most 1000 categories"):
        from_arrays((frame, np.arange(1001) % 2))


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (FRAME[["town"]], r"x of test.*missing columns \['age'\]"),
        (FRAME.assign(extra=1), r"x of test.*other columns \['extra'\]"),
        (FRAME.assign(town="z"), "column 'town' in x of test.*'z' in row 0\n.*Categ"),
        (FRAME.assign(age="z"), "column 'age' in x of test.*numbers or booleans"),
        (np.ones((COUNT, 5)), "Expected a DataFrame as x of test"),
    ],
)
def test_frames_that_differ(test, message):
    with pytest.raises(ValueError, match=message):
        from_arrays((FRAME, Y), test=(test, Y))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": FRAME}, r"\(x, y\).*DataFrame.*\n.*frame.drop"),
        ({"train": (FRAME, Y, Y)}, "tuple of 3"),
        ({"train": (FRAME.age, Y)}, r"shape \(40,\).*\n.*reshape"),
        ({"train": (FRAME[["age", "age"]], Y)}, "different names.*'age' 2 times"),
        ({"train": (np.ones((40, 2)), Y), "test": (FRAME, Y)}, "Expected an array as"),
        ({"train": (FRAME, LABELS), "task": "regression"}, "numbers for task 'regr"),
        ({"train": (FRAME, LABELS), "class_names": ["a", "b"]}, "names in `class_na"),
        ({"train": (FRAME, LABELS), "test": (FRAME, LABELS + "!")}, "'no!' in row 0"),
        ({"train": (FRAME, LABELS), "test": (FRAME, Y)}, "y of test.*Received: 0 in"),
        ({"train": (FRAME, Y), "test": (FRAME, LABELS)}, "y of test.*string values"),
        ({"train": (FRAME, LABELS.where(Y == 1))}, "y of train.*20 missing"),
        ({"train": (FRAME, DATES)}, "'from' in y of train. Expected numbers or bool"),
        (
            {"train": (FRAME, DATES["to"])},
            "y of train. Expected numbers.*or categories",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(**arguments)


@pytest.mark.parametrize(
    ("labels", "names", "right"),
    [
        (LABELS, ["no", "yes"], Y),
        (LABELS.to_frame(), ["no", "yes"], Y),
        (LABELS.array, ["no", "yes"], Y),
        (LABELS.astype(pd.CategoricalDtype(["yes", "no"])), ["yes", "no"], 1 - Y),
        (pd.Series(3 + 4 * Y, dtype="category"), ["3", "7"], Y),
        (pd.Series(Y == 1), ["False", "True"], Y),
        (pd.Series(Y, dtype="Int64"), ["0", "1"], Y),
    ],
)
def test_labels_by_name(labels, names, right):
    data = from_arrays((FRAME, labels), validation=0)
    assert (data.task, data.class_names) == ("classification", names)
    np.testing.assert_array_equal(data.train.arrays.y, right)


def test_class_names_say_the_order_of_labels():
    y = y_of(LABELS, class_names=["yes", "no"])
    np.testing.assert_array_equal(y, 1 - Y)


def test_labels_of_other_splits_are_those_of_train():
    y = y_of(LABELS, "test", test=(FRAME, LABELS.iloc[::-1].to_numpy(str)))
    np.testing.assert_array_equal(y, Y[::-1])


def test_columns_of_targets_are_found_by_name():
    labels = pd.DataFrame({"cat": Y == 1, "dog": [True] * COUNT})
    data = from_arrays((FRAME, labels), test=(FRAME, labels[["dog", "cat"]]))
    assert (data.task, data.class_names) == ("multi_label", ["cat", "dog"])
    np.testing.assert_array_equal(data.test.arrays.y, labels)
    with pytest.raises(ValueError, match=r"y of test.*\['cat', 'dog'\]"):
        from_arrays((FRAME, labels), test=(FRAME, labels.rename(columns={"cat": "a"})))


@pytest.mark.parametrize("dtype", ["float32", "Float64"])
def test_float_targets_are_a_regression(dtype):
    data = from_arrays((FRAME, FRAME.age.astype(dtype)), validation=0)
    assert (data.task, data.class_names) == ("regression", None)
    np.testing.assert_array_equal(data.train.arrays.y[:, 0], FRAME.age)
