"""Finding forbidden names in the text of a submission."""

import sys
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grading.aliases import with_aliases
from grading.meanings import MAX_SOURCE
from grading.shortcuts import Shortcut, find_shortcuts

SOFTMAX = ("torch.softmax",)
ATTENTION = ("torch.nn.MultiheadAttention", "encoderlib")


def _found(answer: str, forbidden=SOFTMAX, others=(), **answers) -> list[str]:
    all_answers = {"task": answer, **answers}
    return [one.name for one in find_shortcuts(all_answers, others, {"task": forbidden})]


@pytest.mark.parametrize(
    "answer",
    [
        "import torch\ny = torch.softmax(x, -1)",
        "y = torch.softmax(x, -1)",
        "import torch as t\ny = t.softmax(x, -1)",
        "y = F.softmax(x, -1)",
        "import torch.nn.functional as G\ny = G.softmax(x, -1)",
        "from torch.nn import functional\ny = functional.softmax(x, -1)",
        "from torch.nn.functional import softmax\ny = softmax(x, -1)",
        "from torch import softmax as soft",
        "from torch.nn.functional import *\ny = softmax(x, -1)",
        "def f(x):\n    return x.softmax(-1)",
        "y = (a @ b).softmax(-1)",
        "y = torch.Tensor.softmax(x, -1)",
        "y = torch.special.softmax(x, -1)",
        "y = torch.nn.Softmax(dim=-1)(x)",
        "y = nn.Softmax(-1)(x)",
        "y = torch.ops.aten._softmax(x, -1, False)",
        "y = torch.ops.aten.softmax.int(x, -1)",
        "y = torch._VF.softmax(x, -1)",
        "y = getattr(torch, 'softmax')(x, -1)",
        "y = getattr(torch, 'soft' + 'max')(x, -1)",
        "y = getattr(torch, f'soft{\"max\"}')(x, -1)",
        "y = torch.__dict__['softmax'](x, -1)",
        "y = vars(torch)['softmax'](x, -1)",
        "import operator\ny = operator.methodcaller('softmax', -1)(x)",
        "from operator import attrgetter\ny = attrgetter('nn.functional.softmax')(torch)(x)",
        "exec('y = torch.softmax(x, -1)')",
        "y = eval('x.softmax(-1)')",
        "f = torch.softmax\ny = f(x, -1)",
        "name = 'softmax'\ny = getattr(torch, name)(x, -1)",
        "a, b = torch.softmax, 1",
        "f = g = F\ny = g.softmax(x)",
        "def f(x):\n    from torch import nn\n    m = nn.functional\n    return m.softmax(x, -1)",
        "y = [f for f in [torch.softmax]][0](x)",
        "class Mine(torch.nn.Softmax):\n    pass",
        "@torch.softmax\ndef f(): pass",
        "%time y = torch.softmax(x, -1)",
        "%%time\ny = torch.softmax(x, -1)",
        "%matplotlib inline\ny = torch.softmax(x, -1)",
        "(y := torch.softmax(x, -1))",
    ],
)
def test_softmax_is_found(answer):
    assert _found(answer) == ["torch.softmax"]


@pytest.mark.parametrize(
    "answer",
    [
        "def softmax(x):\n    return x\ny = softmax(x)",
        "class softmax:\n    pass\nsoftmax()",
        "def f(x):\n    'Like torch.softmax, or F.softmax.'\n    # torch.softmax\n    return x",
        "'softmax'\n'torch.softmax'",
        "f(softmax=1)",
        "names = {'softmax': 1}\nprint('softmax', 'torch.softmax is forbidden')",
        "model.eval()\nraise ValueError('softmax needs a tensor')",
        "softmax = lambda x: x\ny = softmax(x)",
        "def f(softmax):\n    return softmax(1)",
        "def f(x, torch_softmax=None):\n    return torch.exp(x)",
        "class Mine:\n    def softmax(self, x):\n        return x\ny = Mine().softmax(x)",
        "class Mine:\n    def __init__(self):\n        self.softmax = 1\n    def f(self):\n"
        "        return self.softmax",
        "import scipy.special\ny = scipy.special.softmax(x)",
        "y = torch.log_softmax(x, -1)",
        "y = torch.exp(x) / torch.exp(x).sum(-1, keepdim=True)",
        "y = torch.softmaximum(x)",
        "from . import softmax",
        "",
        "this is not Python",
    ],
)
def test_honest_code_is_not_found(answer):
    assert _found(answer) == []


@pytest.mark.parametrize(
    "answer",
    [
        "import encoderlib",
        "import encoderlib.attention as a",
        "from encoderlib import attention",
        "from encoderlib.attention import *",
        "def f():\n    import encoderlib.attention",
        "__import__('encoderlib')",
        "m = __import__('encoder' + 'lib')",
        "import importlib\nimportlib.import_module('encoderlib.attention')",
        "from importlib import import_module\nimport_module('encoderlib')",
        "import sys\nsys.modules['encoderlib']",
        "import checks\nchecks.encoderlib.attention",
        "encoderlib.attention",
    ],
)
def test_library_is_found(answer):
    assert _found(answer, ATTENTION) == ["encoderlib"]


@pytest.mark.parametrize(
    "answer",
    [
        "from torch.nn import MultiheadAttention as M\nm = M(4, 2)",
        "m = torch.nn.MultiheadAttention(4, 2)",
        "m = nn.modules.activation.MultiheadAttention(4, 2)",
        "import torch.nn as n\nm = n.MultiheadAttention(4, 2)",
    ],
)
def test_class_is_found(answer):
    assert _found(answer, ATTENTION) == ["torch.nn.MultiheadAttention"]


def test_library_named_in_a_message_is_not_found():
    assert (
        _found("raise ValueError('encoderlib is not needed')\nprint('encoderlib')", ATTENTION) == []
    )
    assert _found("import encoderlib_of_mine", ATTENTION) == []


@pytest.mark.parametrize(
    "other",
    [
        "def helper(x):\n    return torch.softmax(x, -1)",
        "helper = torch.softmax",
        "helper = lambda x: x.softmax(-1)",
        "def deeper(x):\n    return F.softmax(x)\ndef helper(x):\n    return deeper(x)",
        "from torch import softmax as helper",
        "class helper:\n    def __init__(self, x):\n        self.y = x.softmax(-1)",
        "if True:\n    helper = torch.softmax",
        "helper = None\nhelper = torch.softmax",
    ],
)
def test_helpers_in_other_cells_are_followed(other):
    assert _found("def f(x):\n    return helper(x)", others=[other]) == ["torch.softmax"]
    assert _found("def f(x):\n    return own(x)", others=[other]) == []


def test_alias_of_an_alias_in_other_cells():
    others = ["import torch as t", "g = t.nn.functional", "h = g"]
    assert _found("y = h.softmax(x)", others=others) == ["torch.softmax"]


def test_attribute_that_another_cell_sets():
    assert _found("y = x.mine(-1)", others=["torch.Tensor.mine = torch.Tensor.softmax"])
    assert not _found("y = x.yours(-1)", others=["torch.Tensor.mine = torch.Tensor.softmax"])


def test_other_answers_are_followed_by_the_rules_of_this_task():
    answers = {
        "softmax": "def softmax(scores):\n    return torch.exp(scores)",
        "attention": "def attention(scores):\n    return torch.softmax(scores, -1)",
    }
    assert find_shortcuts(answers, [], {"softmax": SOFTMAX}) == []
    answers["softmax"] = "def softmax(scores):\n    return attention(scores)"
    (found,) = find_shortcuts(answers, [], {"softmax": SOFTMAX})
    assert found.helper


def test_same_name_in_another_cell_is_not_followed_from_a_local():
    other = "def g(scores):\n    weights = torch.softmax(scores, -1)\n    return weights"
    assert _found("def f(scores):\n    weights = scores\n    return weights", others=[other]) == []


def test_copies_of_an_answer_are_all_looked_at():
    copies = ["this is not Python", "%%time\ny = torch.softmax(x)"]
    (found,) = find_shortcuts({"task": copies}, [], {"task": SOFTMAX})
    assert not found.helper
    assert find_shortcuts({"task": copies[:1], "other": copies}, [], {"task": SOFTMAX}) == []
    assert find_shortcuts({"task": []}, copies, {"task": SOFTMAX}) == []


def test_message_names_task_name_and_line():
    answers = {"softmax": "def softmax(x):\n    # mine\n    return torch.softmax(x, -1)"}
    (found,) = find_shortcuts(answers, [], {"softmax": SOFTMAX})
    assert found == Shortcut("softmax", "torch.softmax", 3, "return torch.softmax(x, -1)")
    assert found.message == ("softmax uses torch.softmax (line 3), which this task does not allow.")
    answers = {"softmax": "def softmax(x):\n    return h(x)"}
    (found,) = find_shortcuts(
        answers, ["import torch\ndef h(x):\n    return torch.softmax(x)"], {"softmax": SOFTMAX}
    )
    assert "(line 3 of another cell)" in found.message


def test_each_name_is_reported_once_where_it_stands_first():
    text = "y = F.softmax(x)\nz = torch.softmax(x)\nw = x.log_softmax(-1)"
    names = ("torch.softmax", "torch.log_softmax")
    found = find_shortcuts({"task": text}, [], {"task": names})
    assert [(one.name, one.line) for one in found] == [
        ("torch.softmax", 1),
        ("torch.log_softmax", 3),
    ]


def test_the_name_that_is_written_is_the_name_that_is_reported():
    names = ("torch.softmax", "torch.nn.functional.softmax")
    assert _found("y = F.softmax(x)", names) == ["torch.nn.functional.softmax"]


def test_each_task_has_its_own_rules():
    answers = {"one": "y = torch.softmax(x)", "two": "y = torch.softmax(x)"}
    found = find_shortcuts(answers, [], {"two": SOFTMAX, "three": SOFTMAX})
    assert [one.task for one in found] == ["two"]
    assert find_shortcuts(answers, [], {}) == []


def test_operators_may_have_a_star():
    names = ("aten::_scaled_dot_product_*",)
    answer = "y = torch.ops.aten._scaled_dot_product_attention_math(q, k, v)"
    assert _found(answer, names) == list(names)
    assert _found("y = torch.ops.aten.mm(q, k)", names) == []


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("y = sum(x)", True),
        ("import builtins\ny = builtins.sum(x)", True),
        ("y = x.sum()", False),
        ("def sum(x):\n    return 0\ny = sum(x)", False),
    ],
)
def test_functions_of_the_language(answer, found):
    assert bool(_found(answer, ("sum",))) == found


def test_method_that_lists_have_too_is_not_taken_for_a_tensors():
    assert _found("x.sort()", ("torch.sort",)) == []
    assert _found("torch.sort(x)", ("torch.sort",)) == ["torch.sort"]


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "\ud800",
        "(" * 50_000,
        "-" * 100_000 + "1",
        "[" * 90 + "]" * 90,
        "1" + "+1" * 90_000,
        "a" + ".b" * 90_000,
        "a" + "()" * 90_000,
        "'a'" + "+'a'" * 20_000,
        "9" * 100_000,
        "\n".join(f"%x{number}" for number in range(5_000)),
        "\n".join(["import a", *(f"a = a.b{number}" for number in range(2_000))]),
        "\n".join(f"a = a + b{number}" for number in range(2_000)),
        "x = 'unfinished",
        "if True:\n"
        + "".join(" " * depth + "if True:\n" for depth in range(1, 99))
        + " " * 99
        + "x",
        "#" * (MAX_SOURCE + 1),
        "\x0c\x0c%%",
        "match x:\n case {'a': [*_, b], **c}: pass",
        "def f[T](x: T): ...",
    ],
)
def test_text_that_is_hostile_does_no_harm(text):
    assert _found(text) == []
    assert _found("y = torch.softmax(x)", others=[text]) == ["torch.softmax"]


@pytest.mark.parametrize(
    "text",
    [
        "#" * MAX_SOURCE + "\ny = torch.softmax(x)",
        "y = torch.softmax(x) " + "+ 1" * 40_000,
        "!ls\n" * 200 + "y = torch.softmax(x)",
    ],
)
def test_in_what_cannot_be_parsed_the_word_counts(text):
    assert _found(text) == ["torch.softmax"]
    assert _found("x = 1", others=[text]) == ["torch.softmax"]
    assert _found(text.replace("softmax", "softmaximum")) == []


WORDS = (
    "torch . softmax ( ) def = import from as * % ! %% ? lambda x , [ ] { } f' ' 0 class getattr"
)
PIECES = st.sampled_from(
    [*f"{WORDS} exec # @ := match case await :".split(" "), " ", "\n", "\n    "]
)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.lists(PIECES | st.text(st.characters(), max_size=3), max_size=40).map("".join))
def test_any_text_is_read_without_an_error(text):
    for one in find_shortcuts({"task": text}, [text], {"task": SOFTMAX}):
        assert one.name == "torch.softmax"
        assert "softmax" in text.lower()


def test_total_size_is_bounded_and_answers_come_first(monkeypatch):
    import grading.meanings

    monkeypatch.setattr(grading.meanings, "MAX_TOTAL", 100)
    assert _found("y = torch.exp(x)  # softmax", others=["#" * 200]) == []
    assert _found("y = torch.exp(x)" + " " * 100 + "# softmax", others=[]) == ["torch.softmax"]


def test_twins_are_looked_up():
    twins = with_aliases("torch.softmax")
    assert twins[0] == "torch.softmax"
    assert {
        "torch.nn.functional.softmax",
        "torch.Tensor.softmax",
        "torch.special.softmax",
        "torch.nn.Softmax",
        "aten::softmax",
        "aten::_softmax",
    } <= set(twins)
    assert not {name for name in twins if "log" in name.lower()}
    assert "torch.nn.functional.layer_norm" in with_aliases("torch.nn.LayerNorm")
    assert "torch.nn.modules.activation.MultiheadAttention" in with_aliases(
        "torch.nn.MultiheadAttention"
    )


def test_other_libraries_have_the_name_of_their_home(monkeypatch):
    home, shop = types.ModuleType("a_home"), types.ModuleType("a_shop")
    exec("def tool(): pass\ntool.__module__ = 'a_home'", vars(home))
    shop.tool = home.tool
    monkeypatch.setitem(sys.modules, "a_home", home)
    monkeypatch.setitem(sys.modules, "a_shop", shop)
    with_aliases.cache_clear()
    assert with_aliases("a_shop.tool") == ("a_shop.tool", "a_home.tool")
    with_aliases.cache_clear()
    assert with_aliases("not_there.at_all") == ("not_there.at_all",)
