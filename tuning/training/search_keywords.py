"""Checks of the keyword arguments of a search, which its trials pass on to `fit`."""

import contextlib
import difflib
import inspect
import re
from collections.abc import Callable, Iterator

from keras_tuner import errors

from zoo.utils.arguments import close_match, describe

from .fit_data import FIT
from .hypermodels import returns_history

NEAR = 0.9  # similarity, at most 1, from which a name counts as a misspelling
REFUSED = re.compile(r"unexpected keyword argument '(\w+)'")


def check_keywords(search, kwargs: dict, *, has_own_trial: bool) -> None:
    """Raises an error if a keyword argument of a search is misspelled.

    The arguments are passed to `run_trial` if a subclass overrides it, and otherwise to
    the `fit` of the hypermodel. If this method has no `**kwargs`, all names that are
    not in its signature are errors. If it has, it may accept any name. In that case,
    only misspellings of its own arguments and those of `search` and `fit` are errors.

    Args:
        search: Search whose `search` method was called.
        kwargs: Keyword arguments of the call that `search` itself does not use.
        has_own_trial: Whether a subclass overrides `run_trial`.

    Raises:
        TypeError: If an argument is misspelled.
    """
    if has_own_trial:
        accepted, is_open = _accepted(search.run_trial, num_given=1)
    else:
        accepted, is_open = _accepted(search.hypermodel.fit, num_given=2)
    if is_open:
        accepted += FIT
    known = [*_own_names(search), *accepted]
    for name in kwargs:
        if name in accepted or (is_open and not _is_misspelled(name, known)):
            continue
        fix = close_match(name, known)
        if has_own_trial or not returns_history(search.hypermodel):
            where = "`run_trial`" if has_own_trial else "`fit` of the hypermodel"
            fix = f"{fix} Arguments of your own must be in the signature of {where}."
        raise TypeError(_message(name, kwargs[name], known, fix))


@contextlib.contextmanager
def refused_keywords(search, kwargs: dict) -> Iterator[None]:
    """Ends the search if a trial does not accept a keyword argument of the search.

    No other trial would accept it.

    Raises:
        FatalTypeError: If a function does not accept one of the arguments.
    """
    try:
        yield
    except TypeError as error:
        found = REFUSED.search(str(error))
        if found is None or found[1] not in kwargs:
            raise
        name = found[1]
        known = [each for each in (*_own_names(search), *FIT) if each != name]
        fix = f"{close_match(name, known)} {error}"
        message = _message(name, kwargs[name], known, fix)
        raise errors.FatalTypeError(message) from error


def _accepted(function: Callable, num_given: int) -> tuple[list[str], bool]:
    """Returns the names of the arguments of a method, and whether it has `**kwargs`.

    Args:
        function: Bound method.
        num_given: Number of arguments that the search passes, which are left out.
    """
    parameters = inspect.signature(function).parameters.values()
    kinds = inspect.Parameter
    by_position = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    names = [each.name for each in parameters if each.kind in by_position][num_given:]
    names += [each.name for each in parameters if each.kind == kinds.KEYWORD_ONLY]
    return names, any(each.kind == kinds.VAR_KEYWORD for each in parameters)


def _own_names(search) -> list[str]:
    """Returns the names of the arguments that `search` does not pass on."""
    parameters = inspect.signature(type(search).search).parameters.values()
    only = inspect.Parameter.KEYWORD_ONLY
    return [each.name for each in parameters if each.kind == only]


def _is_misspelled(name: str, known: list[str]) -> bool:
    return bool(difflib.get_close_matches(name, known, n=1, cutoff=NEAR))


def _message(name: str, value, known: list[str], fix: str) -> str:
    listed = ", ".join(f"`{each}`" for each in dict.fromkeys(known))
    return (
        f"Invalid keyword argument `{name}` of `search`. Expected one of {listed}. "
        f"Received: {name}={describe(value)}\n{fix.strip()}"
    )
