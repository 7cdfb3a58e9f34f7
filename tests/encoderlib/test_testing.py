"""Each checker passes on right input and says the right thing on deliberately wrong input."""

import math

import pytest
import torch

from encoderlib import testing
from encoderlib.attention import attention_weights
from encoderlib.testing import (
    call_answer,
    check_close,
    check_dtype,
    check_not_used,
    check_shape,
    check_tensor,
    max_difference,
)


def message(check, *arguments, **options) -> str:
    """The text of the AssertionError that ``check`` raises; it must raise one."""
    with pytest.raises(AssertionError) as error:
        check(*arguments, **options)
    return str(error.value)


class TestMaxDifference:
    def test_is_the_largest_absolute_difference(self):
        assert max_difference(torch.tensor([1.0, -2.0]), torch.tensor([1.5, -5.0])) == 3.0

    def test_is_infinite_when_shapes_differ(self):
        assert max_difference(torch.zeros(2, 3), torch.zeros(3, 2)) == math.inf

    def test_equal_nan_and_infinity_are_no_difference(self):
        odd = torch.tensor([math.nan, math.inf, -math.inf, 1.0])
        assert max_difference(odd, odd.clone()) == 0.0

    @pytest.mark.parametrize("other", [0.0, math.inf, -math.inf])
    def test_nan_against_a_number_is_infinite(self, other):
        assert max_difference(torch.tensor([math.nan]), torch.tensor([other])) == math.inf

    def test_of_empty_tensors_is_zero(self):
        assert max_difference(torch.zeros(0, 3), torch.zeros(0, 3)) == 0.0


class TestCallAnswer:
    def test_returns_what_the_answer_returns(self):
        assert call_answer("power", pow, 2, 5) == 32
        assert call_answer("int", int, "11", base=2) == 3

    def test_an_unwritten_answer_is_not_reported_as_a_crash(self):
        def stub():
            raise NotImplementedError()

        assert "stub is not written yet" in message(call_answer, "stub", stub)

    def test_a_crash_names_shapes_exception_and_the_first_hint_that_fits(self):
        def product(a, b):
            return a @ b

        text = message(
            call_answer,
            "product",
            product,
            torch.zeros(2, 3),
            b=torch.zeros(2, 3, dtype=torch.float64),
            hints={"cannot fit": "no", "": "Look at the transpose."},
        )
        assert "(2, 3) float32, (2, 3) float64" in text
        assert "RuntimeError" in text
        assert text.endswith("Look at the transpose.")

    def test_a_crash_without_tensors_or_hints(self):
        assert message(call_answer, "half", lambda x: 1 / x, 0) == (
            "half does not run. It raises ZeroDivisionError: division by zero."
        )

    def test_keeps_the_exception_as_cause(self):
        with pytest.raises(AssertionError) as error:
            call_answer("half", lambda x: 1 / x, 0)
        assert isinstance(error.value.__cause__, ZeroDivisionError)


def helper_with_softmax(x):
    return x.softmax(-1)


class TestCheckNotUsed:
    FORBIDDEN = {"softmax": "Write it yourself.", "encoderlib": "Write it yourself."}  # noqa: RUF012

    def check(self, function) -> str:
        return message(check_not_used, "answer", function, self.FORBIDDEN)

    def test_an_honest_answer_passes(self):
        def answer(x):
            powers = x.exp()
            return powers / powers.sum(-1, keepdim=True)

        check_not_used("answer", answer, self.FORBIDDEN)

    def test_finds_functions_and_methods(self):
        assert "answer uses `softmax`. Write it yourself." in self.check(
            lambda x: torch.softmax(x, -1)
        )
        assert "`softmax`" in self.check(lambda x: x.softmax(-1))

    def test_finds_inner_functions_and_helpers_beside_the_answer(self):
        def outer(x):
            def inner(y):
                return torch.nn.functional.softmax(y, -1)

            return inner(x)

        assert "`softmax`" in self.check(outer)
        assert "`softmax`" in self.check(lambda x: helper_with_softmax(x))

    def test_finds_imports_inside_the_function(self):
        def answer(x):
            from encoderlib.attention import attention_weights as weights

            return weights(x, x)

        assert "`encoderlib`" in self.check(answer)

    def test_finds_a_function_of_the_library_by_another_name(self):
        assert "`encoderlib`" in self.check(lambda x: attention_weights(x, x))

    def test_a_recursive_answer_ends(self):
        def answer(n):
            return recursive(n)

        check_not_used("answer", answer, self.FORBIDDEN)
        check_not_used("answer", recursive, self.FORBIDDEN)

    def test_helpers_and_the_answer_itself_may_have_any_name(self):
        forbidden = {"recursive": "Write it yourself.", "helper_with_softmax": "No."}
        check_not_used("answer", recursive, forbidden)
        check_not_used("answer", lambda x: helper_with_softmax(x), forbidden)
        says = message(check_not_used, "answer", lambda x: recursive(x.recursive()), forbidden)
        assert "answer uses `recursive`" in says

    def test_a_name_in_a_text_is_not_used(self):
        check_not_used("answer", lambda x: (recursive(x), "recursive"), {"recursive": "No."})

    def test_passes_over_objects_without_code(self):
        check_not_used("answer", torch.softmax, self.FORBIDDEN)


def recursive(n):
    return n if n == 0 else recursive(n - 1)


class TestCheckTensor:
    def test_a_tensor_passes(self):
        check_tensor("x", torch.zeros(2))

    @pytest.mark.parametrize(
        ("got", "says"),
        [
            (None, "returns nothing yet"),
            (..., "returns nothing yet"),
            ((torch.zeros(1), torch.zeros(1)), "returns a tuple of 2; return the tensor alone"),
            ([1.0], "got list"),
        ],
    )
    def test_says_what_it_is_instead(self, got, says):
        assert says in message(check_tensor, "x", got)


class TestCheckDtype:
    def test_exact_dtype_passes(self):
        check_dtype("x", torch.zeros(2, dtype=torch.float16), torch.float16)

    def test_names_both_dtypes_and_the_reason(self):
        text = message(check_dtype, "x", torch.zeros(2), torch.float16, "It follows its input.")
        assert text == "x must have dtype torch.float16, got torch.float32. It follows its input."

    def test_no_tensor(self):
        assert "must be a torch.Tensor" in message(check_dtype, "x", 1.0, torch.float32)


class TestCheckShape:
    def test_right_shape_passes(self):
        check_shape("x", torch.zeros(2, 5), {"B": 2, "T": 5})

    def test_names_the_axes(self):
        text = message(check_shape, "x", torch.zeros(2, 7), {"B": 2, "T": 5})
        assert "expected (B, T) = (2, 5), got (2, 7)." in text
        assert "transpose" not in text

    def test_sees_a_transpose(self):
        text = message(check_shape, "x", torch.zeros(5, 2), {"B": 2, "T": 5})
        assert "look for a transpose" in text

    def test_sees_a_missing_axis(self):
        text = message(check_shape, "x", torch.zeros(5), {"B": 2, "T": 5})
        assert "1 axes instead of 2" in text

    def test_no_tensor(self):
        assert "must be a torch.Tensor" in message(check_shape, "x", None, {"B": 2})


class TestCheckClose:
    X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])

    def test_equal_values_pass(self):
        check_close("x", self.X, self.X + 1e-7)

    def test_tolerance_is_absolute(self):
        check_close("x", self.X, self.X + 1e-3, tolerance=1e-2)
        assert "wrong at 4 of 4" in message(check_close, "x", self.X, self.X + 1e-3)

    def test_says_where_the_first_difference_is(self):
        wrong = self.X.clone()
        wrong[1, 0] = 7
        text = message(check_close, "x", wrong, self.X)
        assert text == "x is wrong at 1 of 4 places; the first is [1, 0]: expected 3, got 7."

    def test_a_single_number_has_no_place(self):
        text = message(check_close, "x", torch.tensor(1.0), torch.tensor(2.0))
        assert text == "x is wrong: expected 2, got 1."

    def test_truth_values_are_shown_as_such(self):
        text = message(check_close, "x", torch.tensor([True]), torch.tensor([False]))
        assert "expected False, got True." in text

    def test_names_the_misconception(self):
        known = {"rows are summed": self.X.sum(1, keepdim=True).expand(2, 2), "x is squared": None}
        known["x is squared"] = lambda: self.X**2
        text = message(check_close, "x", self.X**2, self.X, known)
        assert text.endswith("This is what you get when x is squared.")

    def test_a_misconception_of_large_numbers_is_matched_relatively(self):
        big = 1e8 * self.X
        text = message(check_close, "x", big * 2 * (1 + 1e-7), big, {"x is doubled": 2 * big})
        assert "x is doubled" in text

    def test_does_not_name_a_misconception_that_gives_the_right_values(self):
        text = message(check_close, "x", self.X + 1e-4, self.X, {"the same": self.X + 2e-5})
        assert "the same" not in text

    def test_does_not_name_a_misconception_of_another_shape_or_other_values(self):
        known = {"other shape": torch.zeros(3), "other values": torch.zeros(2, 2)}
        assert "This is what" not in message(check_close, "x", self.X + 1, self.X, known)

    def test_counts_values_that_are_not_finite(self):
        wrong = torch.tensor([[math.nan, math.inf], [3.0, 4.0]])
        assert "1 NaN and 1 infinite" in message(check_close, "x", wrong, self.X)

    def test_names_a_misconception_that_is_nan(self):
        wrong = torch.full((2, 2), math.nan)
        text = message(check_close, "x", wrong, self.X, {"0/0": wrong.clone()})
        assert "This is what you get when 0/0." in text

    def test_expected_nan_and_infinity_must_be_there(self):
        odd = torch.tensor([math.nan, math.inf])
        check_close("x", odd, odd.clone())
        assert "wrong at 1 of 2" in message(check_close, "x", torch.tensor([0.0, math.inf]), odd)

    def test_shapes_do_not_broadcast(self):
        text = message(check_close, "x", torch.zeros(2, 1), torch.zeros(2, 2))
        assert "expected (2, 2), got (2, 1)" in text

    @pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
    def test_kinds_of_numbers_do_not_mix(self, dtype):
        text = message(check_close, "x", torch.ones(2, dtype=dtype), torch.ones(2))
        assert "must have dtype torch.float32" in text

    def test_no_tensor(self):
        assert "returns nothing yet" in message(check_close, "x", None, self.X)


def test_everything_public_is_listed():
    public = {
        name
        for name, value in vars(testing).items()
        if callable(value)
        and getattr(value, "__module__", "") == testing.__name__
        and not name.startswith("_")
    }
    assert public == set(testing.__all__)
