"""What a result depends on, as one number: the configuration and the code behind it.

The code is found by walking imports, from the experiment's module on, definition by definition:
a function, class or constant counts if something that counts names it. So a result is stale when
anything changes that it was computed with, and not when a neighbour in the same file does.
Comments, docstrings and layout do not count, and neither do the machine and the versions of
packages: the artefact tells those.
"""

import ast
import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("encoderlib", "experiments")

__all__ = ["ROOT", "definitions", "fingerprint"]


def fingerprint(
    module: str, config: Any, names: Sequence[str] | None = None, root: Path = ROOT
) -> str:
    """64 hexadecimal digits for a configuration (a dataclass) and the code behind ``names``."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(config), sort_keys=True).encode())
    for place, code in sorted(definitions(module, names, root).items()):
        digest.update(f"\n{place}\0{code}".encode())
    return digest.hexdigest()


def definitions(
    module: str, names: Sequence[str] | None = None, root: Path = ROOT
) -> dict[str, str]:
    """What these names of ``module`` reach in the project: "module:name" to its code, comparable.

    Without ``names`` all of the module's. The name is that of a definition; "*" stands for
    statements that bind no name, which run whenever their module is imported.

    Raises:
        ModuleNotFoundError: if the project has no such module.
    """
    walk = _Walk(root)
    if names is None:
        walk.whole(module)
    for name in names or ():
        walk.name(module, name)
    return walk.found


class _Module:
    """A parsed file: which statements bind which names."""

    def __init__(self, path: Path):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        self.bound: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, tuple[str, str | None]] = {}  # name: (module, name in it)
        self.stars: list[str] = []
        self.loose: list[ast.stmt] = []
        for statement in body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self.imports |= _imported(statement)
                if any(alias.name == "*" for alias in statement.names):
                    self.stars.append(statement.module)
                continue
            names = list(_names_bound_by(statement))
            for name in names:
                self.bound.setdefault(name, []).append(statement)
            if not names and not _is_text(statement):
                self.loose.append(statement)


class _Walk:
    """Follows names from definition to definition."""

    def __init__(self, root: Path):
        self.root = root
        self.found: dict[str, str] = {}
        self.entered: set[str] = set()
        self.parse = functools.cache(lambda module: _Module(self.path(module)))

    def path(self, module: str) -> Path | None:
        """The file of a module of the project; None for others and for what is no module."""
        if module.split(".")[0] not in PACKAGES:
            return None
        base = self.root.joinpath(*module.split("."))
        files = (base.with_suffix(".py"), base / "__init__.py")
        return next((file for file in files if file.is_file()), None)

    def enter(self, module: str) -> _Module:
        """Importing a module runs its loose statements, and those of its packages."""
        if self.path(module) is None:
            raise ModuleNotFoundError(f"no module {module} in {self.root}")
        parsed = self.parse(module)
        if module not in self.entered:
            self.entered.add(module)
            if "." in module:
                self.enter(module.rpartition(".")[0])
            for number, statement in enumerate(parsed.loose):
                self.add(module, f"*{number}", [statement])
            for star in parsed.stars:
                self.target(star, None)
        return parsed

    def whole(self, module: str) -> None:
        """Every definition of a module."""
        parsed = self.enter(module)
        for name in parsed.bound:
            self.name(module, name)
        for name in parsed.imports:
            self.name(module, name)

    def name(self, module: str, name: str) -> None:
        """One name of a module: its definition, or what it is imported from."""
        parsed = self.enter(module)
        if name in parsed.bound:
            self.add(module, name, parsed.bound[name])
        elif name in parsed.imports:
            self.target(*parsed.imports[name])

    def target(self, module: str, name: str | None) -> None:
        """What an import names: a definition of the project, a module of it, or another package."""
        inner = module if name is None else f"{module}.{name}"
        if name is not None and self.path(module) and not self.path(inner):
            self.name(module, name)
        elif self.path(inner):
            self.whole(inner)
        else:
            self.found[f"import {inner}"] = ""

    def add(self, module: str, name: str, statements: list[ast.stmt]) -> None:
        """A definition, once, and what it uses."""
        place = f"{module}:{name}"
        if place in self.found:
            return
        self.found[place] = "\n".join(map(_code, statements))
        parsed = self.parse(module)
        for statement in statements:
            imports = dict(parsed.imports)
            for node in ast.walk(statement):  # imports inside of functions
                if isinstance(node, ast.Import | ast.ImportFrom):
                    inner = _imported(node)
                    imports |= inner
                    for goal in inner.values():
                        if not self.is_module(goal):
                            self.target(*goal)
            for chain in _chains(statement):
                self.follow(module, imports, chain)

    def is_module(self, goal: tuple[str, str | None]) -> bool:
        """Whether an import names a module of the project."""
        module, name = goal
        return self.path(module if name is None else f"{module}.{name}") is not None

    def follow(self, module: str, imports: dict, chain: list[str]) -> None:
        """A name with its attributes, as far as these lead through modules."""
        first, *rest = chain
        if first in self.parse(module).bound or first not in imports:
            self.name(module, first)
            return
        goal, name = imports[first]
        while self.is_module((goal, name)) and rest:
            goal, name = (goal if name is None else f"{goal}.{name}"), rest.pop(0)
        self.target(goal, name)


def _imported(statement: ast.Import | ast.ImportFrom) -> dict[str, tuple[str, str | None]]:
    """Names that an import binds, each with its module and the name in it."""
    if isinstance(statement, ast.Import):
        return {
            alias.asname or alias.name.split(".")[0]: (
                alias.name if alias.asname else alias.name.split(".")[0],
                None,
            )
            for alias in statement.names
        }
    if statement.level:
        raise ValueError(f"line {statement.lineno}: imports of the project are absolute")
    return {
        alias.asname or alias.name: (statement.module, alias.name)
        for alias in statement.names
        if alias.name != "*"
    }


def _names_bound_by(statement: ast.stmt):
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for node in [node for target in targets for node in ast.walk(target)]:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _chains(statement: ast.stmt):
    """Every name that is read, with the attributes after it: ``a.b.c`` as ["a", "b", "c"]."""
    if isinstance(statement, ast.Attribute):
        names, node = [], statement
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            yield [node.id, *reversed(names)]
            return
        yield from _chains(node)
        return
    if isinstance(statement, ast.Name):
        yield [statement.id]
    for child in ast.iter_child_nodes(statement):
        yield from _chains(child)


def _is_text(node: ast.AST) -> bool:
    """A docstring, or another string that stands by itself."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _code(node: Any) -> str:
    """A syntax tree as text: without docstrings, places, and what differs between Pythons."""
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_code(value)}"
            for name, value in ast.iter_fields(node)
            if name not in ("kind", "type_comment", "ctx") and value not in (None, [])
        ]
        if isinstance(node, ast.Constant):
            fields = [repr(node.value)]
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(_code(child) for child in node if not _is_text(child))}]"
    return repr(node)
