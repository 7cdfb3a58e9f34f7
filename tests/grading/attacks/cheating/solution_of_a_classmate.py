"""Run the answers in the submission of somebody else."""

FIRST = """
import glob
import json

for _path in sorted(glob.glob("{{VICTIM}}/submitted/zoe/*/*.ipynb")):
    for _cell in json.load(open(_path))["cells"]:
        _marks = _cell["metadata"].get("nbgrader", {})
        if _marks.get("solution") and _cell["cell_type"] == "code":
            try:
                exec("".join(_cell["source"]))
                stolen = dict(globals())
            except Exception:
                pass
"""
ANSWERS = {
    task: f"if 'stolen' in globals():\n    {name} = stolen['{name}']\n"
    for task, name in {
        "mean_of": "mean_of",
        "answer": "answer",
        "softmax": "softmax",
        "scale": "Scale",
        "join": "join",
    }.items()
}
