"""Exceptions of the student's code, as the examiner sees them."""

import pytest

SOURCE = """
    import collections, json
    import numpy as np
    import torch

    class Negative(ValueError):
        def __init__(self, value):
            super().__init__(f"negative: {value}")
            self.value = value

    class Worse(Negative):
        def __str__(self):
            return "worse"

    class Own(Exception):
        pass

    def inner(kind):
        raise kind

    def fail(kind):
        inner(kind)

    def fails(name):
        if name == "index":
            return [][3]
        if name == "key":
            return {}["missing"]
        if name == "type":
            return 1 + "a"
        if name == "zero":
            return 1 / 0
        if name == "attribute":
            return (5).missing
        if name == "name":
            return undefined
        if name == "assert":
            assert 1 == 2, "one is not two"
        if name == "unicode":
            return b"\\xff".decode()
        if name == "os":
            return open("/missing/file")
        if name == "json":
            return json.loads("{")
        if name == "torch":
            return torch.ones(2) @ torch.ones(3)
        if name == "linalg":
            return np.linalg.inv(np.zeros((2, 2)))
        if name == "group":
            raise ExceptionGroup("many", [ValueError(1), TypeError(2)])
        if name == "not implemented":
            raise NotImplementedError
        if name == "negative":
            raise Negative(-3)
        if name == "worse":
            raise Worse(-4)
        if name == "syntax":
            return eval("1 +")
        if name == "long":
            raise ValueError("x" * 10_000_000)
        if name == "text":
            raise ValueError("\\ud800")
        if name == "object":
            raise ValueError(object(), [1])
        if name == "deep":
            return fails("deep")

    def leave(how):
        if how == "exit":
            raise SystemExit(0)
        if how == "interrupt":
            raise KeyboardInterrupt
        if how == "stop":
            raise StopIteration(5)
        if how == "close":
            raise GeneratorExit
        class Strange(BaseException):
            pass
        raise Strange("odd")

    class Evil(Exception):
        def __str__(self):
            raise SystemExit
        def __repr__(self):
            raise SystemExit

    def evil():
        raise Evil

    class Guard:
        def __getattr__(self, name):
            raise Own(name)

    def returned():
        return ValueError("as a value")

    def after():
        return "alive"
"""
NAMES = "Negative Worse Own fail fails leave evil Guard returned after"


@pytest.fixture
def s(student):
    return student(SOURCE, NAMES, student_file_names={"<cell student>"})


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("index", "IndexError", "out of range"),
        ("key", "KeyError", "missing"),
        ("type", "TypeError", "unsupported"),
        ("zero", "ZeroDivisionError", "division"),
        ("attribute", "AttributeError", "missing"),
        ("name", "NameError", "undefined"),
        ("assert", "AssertionError", "one is not two"),
        ("unicode", "UnicodeDecodeError", "0xff"),
        ("os", "FileNotFoundError", "/missing/file"),
        ("json", "json.JSONDecodeError", "double quotes"),
        ("torch", "RuntimeError", "inconsistent|size"),
        ("linalg", "np.linalg.LinAlgError", "Singular"),
        ("group", "Exception", "many"),
        ("not implemented", "NotImplementedError", ""),
        ("syntax", "SyntaxError", "invalid"),
        ("object", "ValueError", "object"),
        ("text", "ValueError", ""),
        ("long", "ValueError", "xxx"),
        ("deep", "RecursionError", "recursion"),
    ],
)
def test_the_class_and_message_are_the_students(s, name, kind, text):
    s.run(
        f"""
        import json, re
        import numpy as np
        try:
            fails({name!r})
        except {kind} as error:
            assert re.search({text!r}, str(error)), str(error)
            assert len(str(error)) <= 20_000
            assert error.student_traceback
        assert after() == "alive"
        """
    )


def test_the_students_own_exceptions_are_real_classes(s):
    s.run(
        """
        assert issubclass(Negative, ValueError) and issubclass(Worse, Negative)
        try:
            fails("negative")
        except Negative as error:
            assert str(error) == "negative: -3" and error.value == -3
            assert error.args == ("negative: -3",) and type(error) is Negative
        try:
            fails("worse")
        except ValueError as error:
            assert str(error) == "worse" and isinstance(error, Negative)
        try:
            Guard().anything
        except Own as error:
            assert str(error) == "anything"
        made = Negative(5)
        assert isinstance(made, ValueError) and made.value == 5
        error = returned()
        assert isinstance(error, ValueError) and str(error) == "as a value"
        """
    )


def test_the_examiners_exceptions_can_be_passed(s):
    s.run(
        """
        try:
            fail(KeyError("given"))
        except KeyError as error:
            assert error.args == ("given",)
        try:
            fail(Own("mine"))
        except Own as error:
            assert error.args == ("mine",)
        try:
            fail(ValueError)
        except ValueError:
            pass
        """
    )


@pytest.mark.parametrize("how", ["exit", "interrupt", "stop", "close", "strange"])
def test_nothing_that_ends_a_loop_or_a_program_comes_out(s, how):
    s.run(
        f"""
        seen = 0
        try:
            for _ in map(leave, [{how!r}, {how!r}]):
                pass
        except RuntimeError as error:
            seen = 1
        assert seen and after() == "alive"
        """
    )


def test_an_exception_that_cannot_be_shown_is_shown_all_the_same(s):
    s.run(
        """
        try:
            evil()
        except Exception as error:
            assert "no message" in str(error), str(error)
        assert after() == "alive"
        """
    )


def test_the_traceback_holds_the_students_frames_and_no_others(s):
    s.run(
        """
        import json
        try:
            fail(KeyError("x"))
        except KeyError as error:
            lines = error.student_traceback
        assert [line.split(" in ")[-1] for line in lines if "File" in line] == ["fail", "inner"]
        assert all("<cell student>" in line for line in lines if "File" in line)
        try:
            fails("json")
        except ValueError as error:
            assert not any("json" in line and "File" in line for line in error.student_traceback)
        try:
            fails("deep")
        except RecursionError as error:
            assert len(error.student_traceback) < 100
        """
    )
