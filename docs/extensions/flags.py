"""A directive that lists a binary's flags: `{flags} clel_tf.trainers.train`."""

import json
import subprocess
import sys

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

# In a process each: the binaries' flags exclude each other.
_LIST = """
import importlib, json, sys
from absl import flags

module = importlib.import_module(sys.argv[1])
found = flags.FLAGS.get_flags_for_module(module)
print(json.dumps([[flag.name, flag.help, flag.default] for flag in found]))
"""


def setup(app):
    app.add_directive("flags", _Flags)
    return {"parallel_read_safe": True}


class _Flags(SphinxDirective):
    required_arguments = 1

    def run(self):
        command = [sys.executable, "-c", _LIST, *self.arguments]
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        flags = nodes.definition_list()
        for flag in json.loads(output.stdout):
            flags += _item(*flag)
        return [flags]


def _item(name, meaning, default):
    term = nodes.term("", "", nodes.literal("", f"--{name}"))
    text = " ".join(meaning.split())
    if default not in (None, []):
        text += f" Default: {default}."
    definition = nodes.definition("", nodes.paragraph(text=text))
    return nodes.definition_list_item("", term, definition)
