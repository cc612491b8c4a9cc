"""Where backend-specific code and private names may be; see CONTRIBUTING.md."""

import ast
import re

import pytest

pytestmark = pytest.mark.one_backend

PACKAGES = ("zoo", "callbacks", "tuning")
# Rooms of backend-specific code.
BACKEND_ROOMS = ("zoo/backend/",)
# TFDS and tf.data are read with TensorFlow on every backend.
DATA_ROOMS = ("zoo/datasets/", "tuning/spaces/space.py")


def lines_with(root, pattern, rooms):
    """Returns the lines outside of some rooms in which a pattern occurs."""
    return [
        f"{path.relative_to(root)}: {line.strip()}"
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        if not str(path.relative_to(root)).startswith(rooms)
        for line in path.read_text().splitlines()
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize(
    ("pattern", "rooms"),
    [
        (r"backend\.backend\(\)", BACKEND_ROOMS),
        (r"^\s*(import|from) (jax|torch)\b", BACKEND_ROOMS),
        (r"^\s*(import|from) tensorflow\b", BACKEND_ROOMS + DATA_ROOMS),
    ],
)
def test_backend_specific_code_is_in_its_rooms(root, pattern, rooms):
    assert lines_with(root, pattern, rooms) == []
    everywhere = lines_with(root, pattern, ("nowhere",))
    assert everywhere  # the pattern finds what it looks for


# Private names of other libraries are used here only.
PRIVATE_ROOMS = (
    "zoo/backend/keras_internals.py",
    "zoo/backend/keras_fit_internals.py",
    "zoo/backend/framework_internals.py",
    "tuning/keras_tuner_internals.py",
)
# Rooms that still use them elsewhere.
PRIVATE_NAME = re.compile(r"_(?!kerascope_)[A-Za-z]\w*")
PRIVATE_MODULE = re.compile(r"(keras|keras_tuner)\.src\b|tensorflow\.python\b")
OF_PYTHON = {"_exit", "_getframe", "_replace"}  # of `os`, `sys` and named tuples
OF_TEXTS = {"endswith", "removeprefix", "removesuffix"}  # methods of strings


def defined_names(tree):
    """Returns the names that a module defines, including attributes of `self`."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
            case ast.Attribute(ctx=ast.Store()) if is_own_object(node.value):
                names.add(node.attr)
    return names


def is_own_object(node):
    """Returns whether an expression is `self`, `cls` or `super()`."""
    function = getattr(node, "func", node)
    return getattr(function, "id", None) in ("self", "cls", "super")


def used_names(node, here, anywhere):
    """Returns the names that a node uses, except those of the project.

    Args:
        node: Node of a syntax tree.
        here: Names that the module defines.
        anywhere: Names that all modules of the project define.
    """
    match node:
        case ast.Attribute():
            # Other objects than `self` may belong to any library.
            known = anywhere if is_own_object(node.value) else here
            is_module = node.attr in ("python", "src")
            return {ast.unparse(node) if is_module else node.attr} - known
        case ast.Import():
            return {alias.name for alias in node.names}
        case ast.ImportFrom(level=0):
            names = {alias.name for alias in node.names}
            return names | {f"{node.module}.{name}" for name in names}
        case ast.keyword(arg=str()):
            return {node.arg} - anywhere
        case ast.Constant(value=str()):
            return {node.value} - anywhere
    return set()


def texts(tree):
    """Returns strings that are parts of texts, and so cannot name an attribute."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr():
                found += node.values
            case ast.Call(func=ast.Attribute(attr=name)) if name in OF_TEXTS:
                found += [one for one in node.args if isinstance(one, ast.Constant)]
    return found


def private_names(tree, ours):
    """Returns the private names of other libraries that a module uses.

    Args:
        tree: Syntax tree of the module.
        ours: Names that other modules of the project define.
    """
    here = defined_names(tree)
    anywhere = ours | here
    skipped = {id(node) for node in texts(tree)}
    return {
        name
        for node in ast.walk(tree)
        if id(node) not in skipped
        for name in used_names(node, here, anywhere) - OF_PYTHON
        if PRIVATE_NAME.fullmatch(name) or PRIVATE_MODULE.match(name)
    }


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("model._compile_loss", {"_compile_loss"}),
        ("optimizer._variables[0]._value", {"_variables", "_value"}),
        ("getattr(tensor, '_keras_history', None)", {"_keras_history"}),
        ("'_track_variables' in vars(layer)", {"_track_variables"}),
        ("{'_get_current_learning_rate': read}", {"_get_current_learning_rate"}),
        ("patched(model, _get_state_sharding_spec=x)", {"_get_state_sharding_spec"}),
        ("layer._trainable = True", {"_trainable"}),
        ("class A(B):\n    def f(self): self._set_monitor_op()", {"_set_monitor_op"}),
        ("class A:\n    def f(self): return super()._build()", {"_build"}),
        ("from keras.src.backend import x", {"keras.src.backend.x"}),
        ("from keras import src", {"keras.src"}),
        ("import tensorflow.python.eager", {"tensorflow.python.eager"}),
        ("keras_tuner.src.engine", {"keras_tuner.src"}),
        ("from jax import _src", {"_src"}),
        ("kind.__module__.startswith('keras.src.layers')", {"keras.src.layers"}),
        # Names of the project, of Python, and parts of texts.
        ("class A:\n    def f(self, other): self._x = other._x", set()),
        ("class A(B):\n    def f(self): return self._inherited", set()),
        ("from ._module import _function", set()),
        ("sys._getframe()", set()),
        ("counters._replace(step=0)", set()),
        ("vars(own).setdefault('_kerascope_steps', [])", set()),
        ("f'{name}_activation'.removesuffix('_activation')", set()),
        ("other._inherited", {"_inherited"}),
    ],
)
def test_private_names_are_found(source, found):
    assert private_names(ast.parse(source), ours={"_inherited"}) == found


def test_private_names_of_other_libraries_are_in_their_rooms(root):
    trees = {
        str(path.relative_to(root)): ast.parse(path.read_text())
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }
    ours = set().union(*map(defined_names, trees.values()))
    found = {path: private_names(tree, ours) for path, tree in trees.items()}
    for room in PRIVATE_ROOMS:
        assert any(names for path, names in found.items() if path.startswith(room))
    assert {
        path: names
        for path, names in found.items()
        if names and not path.startswith(PRIVATE_ROOMS)
    } == {}
