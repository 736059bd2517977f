"""The documentation site; `make docs` builds it into build/docs."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "extensions"))

from clel_tf import __version__  # noqa: E402

project = "clel_tf"
author = "The clel_tf authors"
copyright = "The clel_tf authors, Apache 2.0"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    # Of docs/extensions:
    "flags",
    "markdown_docstrings",
    "mathml",
]
exclude_patterns = ["extensions"]
nitpicky = True

# Pages stay readable on GitHub, which knows dollars and anchors too.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {
    "members": True,
    "member-order": "groupwise",
    "inherited-members": True,  # less Keras's and Python's
}
autodoc_inherit_docstrings = False  # Keras's own, of what we override
autodoc_typehints = "none"  # in docstrings
napoleon_numpy_docstring = False
napoleon_attr_annotations = False  # named tuples' types are TensorFlow's
napoleon_use_rtype = False
napoleon_custom_sections = [("Call arguments", "params_style"), "Reference"]

html_theme = "furo"
html_title = f"clel_tf {__version__}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False


def setup(app):
    app.connect("source-read", _links)


def _links(app, name, source):
    # A file's name as text, which GitHub shows, becomes a title, and Markdown
    # that is no page of the site a file to download.
    titled = re.sub(
        r"\[(?:docs/)?(\w+\.md)\]\((\1[^)]*)\)", r"[](\2)", source[0]
    )
    source[0] = re.sub(r"\]\((\.\./[^)]+\.md)\)", r"](path:\1)", titled)
