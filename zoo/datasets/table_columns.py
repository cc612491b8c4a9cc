"""Names and positions of the columns of a table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TableColumns:
    """Describes the columns of the inputs; both fields are `None` without a table.

    The fields have the same meaning as in `Data`.

    Args:
        feature_names: Column names of a table, otherwise `None`.
        one_hot_columns: Dict that maps the name of each one-hot encoded column to
            `(start, stop)`, otherwise `None`.
    """

    feature_names: list[str] | None = None
    one_hot_columns: dict[str, tuple[int, int]] | None = None

    @classmethod
    def of_categories(cls, columns: dict[str, list | None]) -> "TableColumns":
        """Describes columns that are one-hot encoded, or stay as they are.

        Args:
            columns: Dict that maps the name of each column to its categories, or to
                `None` if the column contains numbers.
        """
        names, one_hot = [], {}
        for name, categories in columns.items():
            if categories is None:
                names.append(name)
                continue
            one_hot[name] = (len(names), len(names) + len(categories))
            names += [f"{name}={category}" for category in categories]
        return cls(names, one_hot)
