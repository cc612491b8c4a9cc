"""The answers of the notebooks of the course, from the results of `notebooks.py`."""

from results import load
from table_tools import markdown


def course_table() -> str:
    """Returns the question, the claim and the answer of each notebook."""
    return markdown(
        ["notebook", "the lectures say", "measured"],
        [
            (
                f"{int(stem[:2])}. {entry['question']} (`{stem}.py`)",
                _sentence(entry["lectures"]),
                _sentence(entry["measured"]),
            )
            for stem, entry in sorted(load("course").items())
        ],
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
