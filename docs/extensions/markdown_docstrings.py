"""Docstrings, which are Markdown with Google's sections, as reStructuredText.

Before napoleon turns sections into fields, code in backticks gets two of them,
links get reStructuredText's form, indented equations become literal blocks, and
what is markup to it alone is escaped.
"""

import re
from inspect import signature

from sphinx.util.inspect import stringify_signature

_SECTION = re.compile(r"[A-Z][a-z]+( arguments)?:$")
_TOKEN = re.compile(
    r"(?P<argument>^ +\*+\w+(?=: ))"  # **kwargs, which napoleon escapes
    r"|`(?P<code>[^`]+)`(?P<suffix>\w?)"
    r"|\[(?P<text>[^\]]+)\]\s*\((?P<url>[^)\s]+)\)"
    r"|(?P<markup>\*+|\||_(?!\w))",
    re.MULTILINE,
)


def setup(app):
    # Before napoleon's, whose priority is 500.
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("autodoc-process-signature", _sign)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}


def to_rst(docstring):
    """A docstring without indentation as reStructuredText."""
    result = []
    in_section = False
    for block in re.split(r"\n\s*\n", docstring):
        heading = block.partition("\n")[0]
        if not heading.startswith(" "):
            in_section = bool(_SECTION.match(heading))
        if heading.lstrip().startswith(">>> "):
            result.append(block)
        elif heading.startswith("    ") and not in_section:
            result.append(f".. code-block:: text\n\n{block}")
        else:
            result.append(_TOKEN.sub(_token, block))
    return "\n\n".join(result)


def _token(match):
    if match["argument"]:
        return match[0]
    if match["code"]:
        # A word that goes on after code needs an end of it.
        suffix = f"\\ {match['suffix']}" if match["suffix"] else ""
        return f"``{match['code']}``{suffix}"
    if match["url"]:
        return f"`{match['text']} <{match['url']}>`__"
    return "".join(f"\\{character}" for character in match["markup"])


def _process(app, what, name, obj, options, lines):
    lines[:] = to_rst("\n".join(lines)).split("\n")


def _sign(app, what, name, obj, options, arguments, returns):
    """Gives Keras's classes, made by its `__new__`, their own arguments."""
    if what == "class" and arguments == "(*args, **kwargs)":
        bound = signature(obj.__init__.__get__(obj))
        return stringify_signature(bound, show_annotation=False), returns


def _skip(app, what, name, obj, skip, options):
    """Leaves out what a class has from Keras or Python."""
    function = getattr(obj, "fget", obj)
    module = getattr(function, "__module__", None) or ""
    foreign = not module.startswith("clel_tf")
    return True if what == "class" and foreign else None
