"""input() in a cell, where nobody can answer; the answers themselves are right."""

ANSWERS = {
    "answer": "answer = 3 * 4 + 4\n",
    "double": "def double(array):\n    return 2 * array\n\n\nname = input('your name? ')\n",
}
