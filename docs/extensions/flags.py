"""A directive that lists a binary's flags: `{flags} clel_tf.trainers.train`."""

import subprocess
import sys
from xml.etree import ElementTree

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


def setup(app):
    app.add_directive("flags", _Flags)
    return {"parallel_read_safe": True}


class _Flags(SphinxDirective):
    required_arguments = 1

    def run(self):
        # A process each: the binaries' flags exclude each other.
        result = subprocess.run(
            [sys.executable, "-m", self.arguments[0], "--helpxml"],
            capture_output=True,
            text=True,
        )
        flags = nodes.definition_list()
        for flag in ElementTree.fromstring(result.stdout).iter("flag"):
            if flag.findtext("file") in (self.arguments[0], "__main__"):
                flags += _item(flag)
        if not flags:
            raise self.error(f"No flags: {result.stderr}")
        return [flags]


def _item(flag):
    term = nodes.term("", "", nodes.literal("", f"--{flag.findtext('name')}"))
    text = " ".join(flag.findtext("meaning").split())
    default = flag.findtext("default")
    if default not in (None, "", "None", "[]"):
        text += f" Default: {default}."
    definition = nodes.definition("", nodes.paragraph(text=text))
    return nodes.definition_list_item("", term, definition)
