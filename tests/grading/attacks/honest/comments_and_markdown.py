"""Adds headings, pictures and unusual characters of its own: naïve, 数, emoji in a string."""

import nbformat

from tests.grading.attacks.classroom import edit

ANSWERS = {"answer": "# 参数的数目\nanswer = 16  # naïve: 12\nprint('\\N{GRINNING FACE} 数')\n"}


def submit(folder):
    edit(folder / "numbers.ipynb", add)


def add(notebook, cells):
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell("# 我的作业\n\n$x^2$ <b>bold</b>"))
    notebook.cells.append(nbformat.v4.new_code_cell("1 + 1"))
