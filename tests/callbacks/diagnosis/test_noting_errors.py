import pytest

from callbacks.diagnosis.run.noting_errors import first_line

pytestmark = pytest.mark.one_backend

LABELS = "7 3 6 5 " * 100


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", ""),
        ("short\nmore", "short"),
        ("Exception encountered when calling Dense.call().\n\nreason", "reason"),
        (
            f"{{{{function_node x_device_/job:localhost}}}} Received a label of 10. "
            f"Label values: {LABELS}",
            "Received a label of 10 ...",
        ),
        (f"Label values: {LABELS}", f"Label values: {LABELS}"[:159] + " ..."),
        ("x" * 300, "x" * 160 + " ..."),
    ],
)
def test_the_first_line_is_short(message, expected):
    assert first_line(ValueError(message)) == expected
