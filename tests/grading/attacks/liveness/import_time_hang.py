"""An answer cell that never ends; the tests do not even come to run."""

ANSWERS = {"answer": "{{BOUND}}\nanswer = 16\nwhile alive():\n    _time.sleep(0.1)\n"}
KEPT = {}
EARNED = {"double": 2, "answer": 1}
