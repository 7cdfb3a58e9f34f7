"""sys.exit(0) in a call: a test that is left by SystemExit has not passed."""

FIRST = "import sys"
ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    sys.exit(0)\n",
    "softmax": "def softmax(scores):\n    raise SystemExit\n",
    "join": "def join(left, right):\n    raise GeneratorExit\n",
    "scale": "class Scale(nn.Module):\n    def __init__(self, width):\n        sys.exit()\n",
}
