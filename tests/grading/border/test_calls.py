"""Functions, classes and variables of the student's, used as an instructor would."""

import builtins
import contextlib

import pytest

from grading.border import StudentLost

FUNCTIONS = '''
    import functools, math
    import numpy as np

    LIMIT = 7
    table = [1, 2, 3]
    other = np.arange(3)

    def area(width: float, height: float = 2.0, *, scale: int = 1) -> float:
        """The area."""
        return width * height * scale

    def total(*numbers, **named):
        return sum(numbers) + sum(named.values())

    def limit():
        return LIMIT

    def adder(n):
        return lambda x: x + n

    def apply(function, values):
        return [function(value) for value in values]

    def compose(*functions):
        def composed(x):
            for function in functions:
                x = function(x)
            return x
        return composed

    def count(n):
        for i in range(n):
            yield i

    def echo():
        received = None
        while True:
            received = yield received

    def pairs():
        return {"a": (1, [2, 3]), "b": {4}}

    def talk():
        print("hello")
        import sys
        print("warning", file=sys.stderr)
        return 1

    @functools.lru_cache
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    async def later(x):
        return x + 1

    square = np.vectorize(lambda x: x * x)
'''
NAMES = (
    "LIMIT table other area total limit adder apply compose count echo pairs talk fib later square"
    " missing"
)


@pytest.fixture
def functions(student):
    return student(FUNCTIONS, NAMES)


def test_variables_are_plain_and_missing_names_are_absent(functions):
    names = functions.run(
        """
        assert LIMIT == 7 and table == [1, 2, 3] and other.tolist() == [0, 1, 2]
        assert type(table) is list
        """
    )
    assert "missing" not in names


def test_arguments_and_results(functions):
    functions.run(
        """
        assert area(3) == 6.0 and area(3, 4) == 12 and area(height=5, width=2, scale=3) == 30
        assert total(1, 2, c=3) == 6 and total() == 0
        assert pairs() == {"a": (1, [2, 3]), "b": {4}}
        assert adder(5)(6) == 11
        assert fib(30) == 832040 and fib.cache_info().hits > 0
        assert square([1, 2, 3]).tolist() == [1, 4, 9]
        """
    )


def test_what_is_known_of_a_function(functions):
    functions.run(
        """
        import inspect
        import types
        assert str(inspect.signature(area)) == (
            "(width: float, height: float = 2.0, *, scale: int = 1) -> float"
        )
        assert area.__name__ == "area" and area.__doc__ == "The area."
        assert area.__defaults__ == (2.0,) and area.__kwdefaults__ == {"scale": 1}
        assert area.__annotations__["height"] is float and area.__module__ == "__main__"
        assert callable(area) and inspect.isfunction(area) and isinstance(area, types.FunctionType)
        assert not hasattr(area, "missing") and not hasattr(area, "__code__")
        assert area is area and area == area and area != total
        assert hasattr(fib, "cache_clear")
        """
    )


def test_callbacks_and_library_functions_as_arguments(functions):
    functions.run(
        """
        import math, operator, functools
        import numpy as np
        seen = []

        def note(value):
            seen.append(value)
            return value * 10

        assert apply(note, [1, 2]) == [10, 20] and seen == [1, 2]
        assert apply(lambda x: x + 1, [1.5]) == [2.5]
        assert apply(math.sqrt, [4.0]) == [2.0]
        assert apply(np.sum, [[1, 2], [3]]) == [3, 3]
        assert apply(functools.partial(operator.mul, 3), [2]) == [6]
        assert apply(str, [5]) == ["5"]
        assert apply(adder(1), [5]) == [6]
        assert compose(adder(1), lambda x: x * 2, math.sqrt)(7) == 4.0
        assert apply(lambda x: area(x), [1]) == [2.0]  # back into the student's process
        """
    )


def test_an_error_in_a_callback_stays_with_the_examiner(functions):
    functions.run(
        """
        def fail(value):
            assert value == 3, "the secret is three"
            return value

        try:
            apply(fail, [3, 4])
        except AssertionError as error:
            assert str(error) == "the secret is three"
            assert not hasattr(error, "student_traceback")
        else:
            raise RuntimeError("no error")
        """
    )


def test_the_student_sees_no_message_of_a_callback(student):
    s = student(
        """
        def probe(function):
            try:
                function()
            except Exception as error:
                chain = [error, error.__cause__, error.__context__]
                return repr(chain) + str(vars(error)) + repr(error.args)
        """,
        "probe",
    )
    s.run(
        """
        def secret_name():
            raise KeyError("the secret value")

        told = probe(secret_name)
        assert "secret" not in told and "KeyError" not in told, told
        """
    )


def test_calls_may_nest_but_not_without_end(functions):
    functions.run(
        """
        def down(n):
            return 0 if n == 0 else apply(down, [n - 1])[0] + 1

        assert down(5) == 5
        try:
            down(1000)
        except RecursionError:
            pass
        else:
            raise AssertionError("no end")
        assert area(1) == 2.0
        """
    )


def test_generators_and_coroutines(functions):
    functions.run(
        """
        import inspect, asyncio
        numbers = count(3)
        assert inspect.isgenerator(numbers) and iter(numbers) is numbers
        assert next(numbers) == 0 and list(numbers) == [1, 2] and list(numbers) == []
        assert sum(count(5)) == 10 and dict(zip("ab", count(9))) == {"a": 0, "b": 1}
        back = echo()
        next(back)
        assert back.send(5) == 5
        back.close()
        assert asyncio.run(later(2)) == 3

        async def both():
            return await later(1) + await later(2)

        assert asyncio.run(both()) == 5
        """
    )


def test_what_a_call_prints_appears_here(functions, capsys):
    functions.run("assert talk() == 1")
    assert capsys.readouterr() == ("hello\n", "warning\n")


def test_long_output_is_cut(student, capsys):
    student("def f():\n    print('x' * 10_000_000)", "f").run("f()")
    out = capsys.readouterr().out
    assert len(out) < 100_000
    assert "cut off" in out


def test_rebinding_and_deletion_are_carried_over(functions):
    functions.run(
        """
        LIMIT = 8
        assert limit() == 8
        LIMIT = [1, 2]
        assert limit() == [1, 2]
        del LIMIT
        try:
            limit()
        except NameError:
            pass
        else:
            raise AssertionError("LIMIT is still there")
        LIMIT = lambda: 5
        assert limit()() == 5
        """
    )
    functions.run("LIMIT = 3")
    functions.rebind()
    functions.run("assert LIMIT == 3 and limit() == 3")


def test_an_argument_that_cannot_cross_leaves_the_border_whole(functions):
    functions.run(
        """
        loop = []
        loop.append(loop)
        f = adder(1)
        for bad in (loop, "\\ud800", 10 ** 100_000, ["x" * 10_000_000]):
            try:
                f(bad)
            except TypeError as error:
                assert "cross" in str(error) or "long" in str(error), error
            else:
                raise AssertionError("it crossed")
        LIMIT = loop
        try:
            limit()
        except TypeError:
            pass
        LIMIT = 5
        assert limit() == 5 and f(1) == 2
        """
    )


def test_a_result_that_cannot_cross_leaves_the_border_whole(student):
    s = student(
        """
        def bad(kind):
            if kind == "loop":
                value = []
                value.append(value)
                return value
            if kind == "text":
                return "\\ud800"
            if kind == "long":
                return "x" * 50_000_000
            if kind == "int":
                return 10 ** 100_000
            if kind == "objects":
                return [object(), "\\ud800"]
            return kind
        """,
        "bad",
    )
    s.run(
        """
        for kind in ("loop", "text", "long", "int", "objects"):
            try:
                bad(kind)
            except TypeError as error:
                assert "border" in str(error), error
            else:
                raise AssertionError(kind)
            assert bad(1) == 1
        """
    )
    assert s.border.broken is None


def test_static_code_serves_checks_that_read_names(student):
    source = (
        "import torch\ndef helper(x):\n    return x.softmax(0)\ndef f(x):\n    return helper(x)\n"
    )
    module = compile(source, "<cell f>", "exec")
    codes = {one.co_name: one for one in module.co_consts if hasattr(one, "co_name")}
    s = student(source, "f helper", static_code=codes.get)
    s.run(
        """
        from encoderlib.testing import check_not_used
        check_not_used("f", f, {"relu": ""})
        try:
            check_not_used("f", f, {"softmax": "Write it yourself."})
        except AssertionError as error:
            assert "Write it yourself" in str(error)
        else:
            raise RuntimeError("softmax was not seen in the helper")
        """
    )


def test_helpers_that_no_name_is_bound_to_are_read_and_may_have_any_name(student):
    source = (
        "import torch\n"
        "def dropout(x):\n    return x.relu()\n"
        "def f(x):\n    return dropout(x)\n"
        "def g(x):\n    return torch.dropout(x, 0.1, True)\n"
    )
    module = compile(source, "<cell f>", "exec")
    codes = {one.co_name: one for one in module.co_consts if hasattr(one, "co_name")}
    s = student(source, "f g", static_code=codes.get)
    s.run(
        """
        from encoderlib.testing import check_not_used
        check_not_used("f", f, {"dropout": "Write it yourself."})
        assert set(f.__globals__) == {"f", "g"} and "dropout" in f.__globals__
        assert "relu" not in f.__globals__ and len(f.__globals__) == 2
        for function, name in ((f, "relu"), (g, "dropout")):
            try:
                check_not_used("it", function, {name: "Write it yourself."})
            except AssertionError as error:
                assert "Write it yourself" in str(error)
            else:
                raise RuntimeError(f"{name} was not seen")
        """
    )


def test_a_process_that_dies_or_hangs_is_lost_at_once_from_then_on(student):
    source = """
        import os, time
        def die():
            os._exit(3)
        def hang():
            time.sleep(3)
        def fine():
            return 1
    """
    for call, why in (("die()", "ended"), ("hang()", "timed out")):
        s = student(source, "die hang fine", seconds=0.5)
        s.run("assert fine() == 1")
        with pytest.raises(StudentLost, match=why):
            s.run(call)
        assert why in s.border.broken
        with pytest.raises(StudentLost, match=why):
            s.run("fine()")


def test_the_context_is_there_around_every_piece_of_student_code(student):
    @contextlib.contextmanager
    def prepare(context):
        builtins.seen_by_student = context
        yield
        del builtins.seen_by_student

    source = """
        def f():
            return seen_by_student
        class C:
            @property
            def x(self):
                return seen_by_student
        def g():
            yield seen_by_student
    """
    s = student(source, "f C g", prepare=prepare)
    s.run("assert f() is None")
    s.border.context = {"task": "x"}
    s.run("assert f() == C().x == next(g()) == {'task': 'x'}")
