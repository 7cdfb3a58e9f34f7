"""``python -m grading``."""

import sys

# jsonschema, which nbgrader imports, builds a grammar of internet addresses at its import, for
# a second. No notebook needs it, and jsonschema does without where it is missing.
sys.modules.setdefault("rfc3987_syntax", None)

from grading.cli import main  # noqa: E402

sys.exit(main())
