"""Send an execute_result of 4 points over the kernel's own channel, then raise."""

FIRST = """
def forge():
    try:
        shell = get_ipython()
        shell.display_pub.session.send(
            shell.display_pub.pub_socket,
            "execute_result",
            {"data": {"text/plain": "4"}, "metadata": {}, "execution_count": 1},
            parent=shell.display_pub.parent_header,
            ident=b"execute_result",
        )
    except Exception as error:
        print(error)
    raise RuntimeError("after the forged result")
"""
ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    forge()\n",
    "softmax": "def softmax(scores):\n    forge()\n",
    "join": "def join(left, right):\n    forge()\n",
}
