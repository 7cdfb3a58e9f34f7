"""Every call waits for a lock that is held: each test costs its own limit, not the batch."""

FIRST = "import threading\n\nheld = threading.Lock()\nheld.acquire()"
ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    held.acquire(timeout=50)\n",
    "double": "def double(array):\n    held.acquire(timeout=50)\n",
    "softmax": "def softmax(scores):\n    held.acquire(timeout=50)\n",
    "join": "def join(left, right):\n    held.acquire(timeout=50)\n",
}
EARNED = {}
