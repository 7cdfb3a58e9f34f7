"""Serve the third-party browser files of ../vendor/static with the site, if they are there.

Jupyter Book puts a script tag on every page for each .js file below a folder that is in
html_static_path when it starts. The vendored trees are therefore added when the builder is
ready, and MathJax and mermaid pointed at them.
"""

from pathlib import Path


def add_vendored_files(app):
    """Point MathJax and mermaid at vendor/static; without it they load from the network."""
    vendor = Path(app.srcdir).parent / "vendor" / "static"
    if not vendor.is_dir():
        return
    app.config.html_static_path.append(str(vendor))
    app.config.mathjax_path = "mathjax/tex-mml-chtml.js"
    app.config.mermaid_use_local = "mermaid/mermaid.esm.min.mjs"


def drop_thebe(app, pagename, templatename, context, doctree):
    """Remove the start-up script of sphinx-thebe: it logs an error on every page without thebe."""
    context["script_files"] = [
        script for script in context.get("script_files", []) if "thebe" not in str(script).lower()
    ]


def setup(app):
    """Register the extension."""
    app.connect("builder-inited", add_vendored_files)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
