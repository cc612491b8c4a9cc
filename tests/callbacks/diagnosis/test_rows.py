import numpy as np
import pytest

from callbacks.diagnosis.data.rows import SeenRows, row_hashes

ROWS = """
import numpy as np
from callbacks.diagnosis.data.rows import row_hashes
print(row_hashes((np.arange(6.0).reshape(3, 2), np.array(["a", "b", "a"]))))
"""


@pytest.mark.heavy
@pytest.mark.one_backend
def test_hashes_are_the_same_in_every_process(run_python, root):
    printed = run_python("-c", ROWS, PYTHONPATH=str(root), PYTHONHASHSEED="1").stdout
    found = row_hashes((np.arange(6.0).reshape(3, 2), np.array(["a", "b", "a"])))
    assert printed == f"{found}\n"
    assert len(set(found)) == 3


@pytest.mark.one_backend
def test_rows_that_were_all_seen_before_are_repeated():
    seen = SeenRows()
    x = np.arange(6)
    assert not seen.repeats(x[:4])
    assert not seen.repeats(x[2:])  # two of them are new
    assert seen.repeats(x[[5, 0]])
    assert not seen.repeats(x[[5, 5]])  # equal by chance
