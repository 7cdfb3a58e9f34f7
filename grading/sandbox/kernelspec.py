"""Install the kernel python3-sandboxed."""

import json
import sys
import tempfile
from pathlib import Path

from grading.course import GradingError

NAME, PROVISIONER = "python3-sandboxed", "grading-sandbox"


def kernelspec() -> dict:
    """What is written to kernel.json. The provisioner replaces the program in ``argv``."""
    return {
        "argv": [sys.executable, "-m", "grading.sandbox.launch", "-f", "{connection_file}"],
        "display_name": "Python 3 (sandboxed)",
        "language": "python",
        "interrupt_mode": "message",
        "metadata": {
            "debugger": False,
            "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": {}},
        },
    }


def install(prefix: str | Path) -> Path:
    """Write the kernelspec below ``prefix``/share/jupyter/kernels.

    Raises:
        GradingError: jupyter_client is missing, or the folder cannot be written.
    """
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError as error:
        raise GradingError("jupyter_client is missing: pip install jupyterlab") from error
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(kernelspec(), indent=1)
        Path(folder, "kernel.json").write_text(text + "\n", encoding="utf-8")
        try:
            return Path(KernelSpecManager().install_kernel_spec(folder, NAME, prefix=str(prefix)))
        except OSError as error:
            raise GradingError(f"the kernel cannot be written below {prefix}: {error}") from error
