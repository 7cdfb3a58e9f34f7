"""Later answers use variables and functions of earlier ones."""

ANSWERS = {
    "double": """
calls = []


def double(array):
    calls.append(array)
    return array + array
""",
    "answer": "double(np.ones(3))\nanswer = 15 + len(calls[:1])\n",
}
