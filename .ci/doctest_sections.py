"""A Griffe extension: the section `Example:` of a docstring is shown as doctests."""

import re

import griffe


class DoctestSections(griffe.Extension):
    """Renames `Example:`, as in Keras, to `Examples:`, which Griffe knows."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^( *)Example:\n+(?=\1>>>)",
                r"\1Examples:\n\n",
                obj.docstring.value,
                flags=re.MULTILINE,
            )
