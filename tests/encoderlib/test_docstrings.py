"""Every public name says what it is, and ``__all__`` lists exactly the public names."""

import importlib
import inspect
import pkgutil
import re
import types

import pytest

import encoderlib

FOUND = pkgutil.walk_packages(encoderlib.__path__, "encoderlib.")
NAMES = ["encoderlib", *sorted(module.name for module in FOUND)]
modules = pytest.mark.parametrize("name", NAMES)


def undocumented(module: types.ModuleType) -> list[str]:
    """Public functions, classes and methods of a module that have no docstring."""
    missing = [] if (module.__doc__ or "").strip() else [module.__name__]
    for name in module.__all__:
        thing = getattr(module, name)
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        own_text = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
        # A dataclass without a docstring gets its signature as one.
        if not (own_text or "").strip() or own_text.startswith(f"{name}("):
            missing.append(name)
        if not inspect.isclass(thing):
            continue
        for method_name, method in vars(thing).items():
            method = getattr(method, "__func__", getattr(method, "fget", method))
            public = not method_name.startswith("_") and inspect.isfunction(method)
            if public and not (method.__doc__ or "").strip():
                missing.append(f"{name}.{method_name}")
    return missing


def wrongly_listed(module: types.ModuleType) -> set[str]:
    """Names that are public and not in ``__all__``, or in it and not there, or there twice."""
    listed = list(getattr(module, "__all__", []))
    defined = {
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
    }
    absent = {name for name in listed if not hasattr(module, name)}
    twice = {name for name in listed if listed.count(name) > 1}
    return (defined - set(listed)) | absent | twice


@modules
def test_every_public_name_has_a_docstring(name):
    assert undocumented(importlib.import_module(name)) == []


@modules
def test_all_lists_the_public_names_in_order(name):
    module = importlib.import_module(name)
    assert wrongly_listed(module) == set()
    constants = [n for n in module.__all__ if n.isupper()]
    classes = [n for n in module.__all__ if n[0].isupper() and not n.isupper()]
    functions = [n for n in module.__all__ if not n[0].isupper()]
    assert module.__all__ == sorted(constants) + sorted(classes) + sorted(functions)


def test_the_package_exports_what_it_imports():
    imported = {
        name
        for name, thing in vars(encoderlib).items()
        if not name.startswith("_") and not isinstance(thing, types.ModuleType)
    }
    assert imported == set(encoderlib.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", encoderlib.__version__)


@pytest.mark.parametrize("name", encoderlib.__all__)
def test_arguments_are_documented_by_their_names(name):
    """An ``Args`` section that names something else is out of date."""
    thing = getattr(encoderlib, name)
    section = re.search(r"Args:\n(.*?)(\n\s*\n|\Z)", inspect.getdoc(thing) or "", re.DOTALL)
    if section is None:
        return
    documented = re.findall(r"^    (\*{0,2}\w[\w, *]*):", section[1], re.MULTILINE)
    documented = {part.strip(" *") for group in documented for part in group.split(",")}
    assert documented <= set(inspect.signature(thing).parameters), name


def broken_module():
    source = '''
class Documented:
    """A class."""
    def method(self):
        pass
class Bare:
    pass
def bare():
    pass
def documented():
    """A function."""
def _private():
    pass
'''
    module = types.ModuleType("broken")
    exec(source, module.__dict__)
    return module


def test_the_checks_see_what_is_missing():
    module = broken_module()
    module.__all__ = ["Bare", "Documented", "bare", "documented"]
    assert undocumented(module) == ["broken", "Bare", "Documented.method", "bare"]
    assert wrongly_listed(module) == set()
    module.__all__ = ["Bare", "Bare", "Documented", "bare", "gone"]
    assert wrongly_listed(module) == {"Bare", "documented", "gone"}
