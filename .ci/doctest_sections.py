"""A Griffe extension: the section `Example:` of a docstring is shown as doctests."""

import textwrap

import griffe


class DoctestSections(griffe.Extension):
    """Renames `Example:`, the last section, and indents it, as Griffe expects."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring is None:
            return
        before, title, example = obj.docstring.value.rpartition("\nExample:\n")
        if title:
            section = textwrap.indent(example.strip("\n"), "    ")
            obj.docstring.value = f"{before}\nExamples:\n{section}\n"
