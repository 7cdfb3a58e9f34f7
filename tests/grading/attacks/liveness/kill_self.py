"""SIGKILL to itself."""

ANSWERS = {
    "mean_of": (
        "import os\nimport signal\n\n\n"
        "def mean_of(numbers):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
}
