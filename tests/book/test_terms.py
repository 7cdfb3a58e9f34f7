"""Terms are linked to the glossary where a reader meets them first, and the checker sees it."""

import pytest

from tools import terms

HEAD = "---\njupytext:\n  text_representation: {}\nkernelspec:\n  name: python3\n---\n"
HEAD += "# Title\n\n- goal: a mask\n\n"
GLOSSARY = """# Glossary · 术语表

```{glossary}
mask · 掩码
  What hides.

query, key, value · 查询、键、值
  Three vectors.
```
"""
MASK = "{term}`masks <mask · 掩码>` (掩码)"


@pytest.fixture
def book(tmp_path):
    """A book of two chapters; call it with their texts to get the problems."""

    def problems(one, two="Nothing.\n"):
        folder = tmp_path / "book"
        (folder / "reference").mkdir(parents=True, exist_ok=True)
        (folder / "reference/glossary.md").write_text(GLOSSARY, encoding="utf-8")
        toc = "format: jb-book\nroot: index\nchapters:\n  - file: two\n  - file: one\n"
        (folder / "_toc.yml").write_text(toc, encoding="utf-8")
        for name, text in {"index": "", "two": two, "one": one}.items():
            (folder / f"{name}.md").write_text(f"{HEAD}## A section\n\n{text}", encoding="utf-8")
        return [problem.split("/", 1)[1] for problem in terms.problems(tmp_path)]

    return problems


def test_the_first_use_is_linked(book):
    assert book(f"A mask of {MASK} hides.\n") == []


def test_a_use_before_the_link_is_named_with_its_line(book):
    text = "One mask.\n" + "Filler that goes on.\n" * 20 + f"Now {MASK}.\n"
    assert book(text) == ["one.md:13: 'mask' is used before a link to 'mask · 掩码'"]


def test_the_order_is_that_of_the_contents(book):
    assert book(f"{MASK}\n", two="Masks, too early.\n") == [
        "two.md:13: 'Masks' is used before a link to 'mask · 掩码'"
    ]


def test_a_term_that_is_never_linked(book):
    assert book("The mask.\n") == ["one.md:13: 'mask' is used before a link to 'mask · 掩码'"]


def test_the_chinese_term_stands_beside_the_first_link(book):
    assert book("{term}`mask <mask · 掩码>` alone\n") == [
        "one.md:13: the first link to 'mask · 掩码' is not followed by the Chinese term"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "`mask`\n",
        "```{code-cell} ipython3\nmask\n```\n",
        "```python\nmask\n```\n",
        "### The mask\n",
        "| mask |\n",
        "$$\nmask\n$$\n",
        "{ref}`mask`\n",
        "*What is a mask?*\n",
        "A value and a key.\n",
        "unmasked\n",
    ],
)
def test_what_is_no_use(book, text):
    assert book(text + "Filler that goes on.\n" * 20 + f"{MASK}\n") == []


def test_what_is_inside_a_box_is_a_use(book):
    text = ":::{admonition} Note\nA mask.\n:::\n" + "Filler that goes on.\n" * 20 + f"{MASK}\n"
    assert book(text) == ["one.md:14: 'mask' is used before a link to 'mask · 掩码'"]


def test_the_book():
    assert terms.problems() == []
