"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

import ast

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_FACE_LINES = 60


def function_lengths(tree: ast.Module) -> list[tuple[str, int]]:
    """Name and length in lines, docstring not counted, of each function."""
    lengths = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            last = node.end_lineno or first.lineno
            lengths.append((node.name, last - first.lineno + 1))
    return lengths


def test_files_are_short(module):
    lines = len(module.path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, f"{module.place} has {lines} lines"


def test_functions_are_short(module):
    long = [(name, length) for name, length in function_lengths(module.tree) if length > MAX_FUNCTION_LINES]
    assert not long, f"{module.place}: {long}"


def test_the_face_is_small(modules):
    (face,) = [module for module in modules if module.place == "__init__.py"]
    assert len(face.path.read_text(encoding="utf-8").splitlines()) < MAX_FACE_LINES


def test_lengths_leave_out_the_docstring():
    source = 'def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    return a\n'
    assert function_lengths(ast.parse(source)) == [("f", 2)]
