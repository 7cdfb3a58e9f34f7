"""An input transformer that empties every later cell."""

FIRST = """
shell = get_ipython()
shell.input_transformers_cleanup.append(lambda lines: ["pass\\n"])
shell.input_transformer_manager.line_transforms.append(lambda lines: ["pass\\n"])
"""
KEPT = {}
