"""Text of reports in consoles and notebooks."""

import html


class Printable:
    """Shows the text of `str` in consoles and notebooks, instead of all contents.

    A subclass defines `__str__`.
    """

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
