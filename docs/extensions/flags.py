"""A directive that lists a binary's flags: `{flags} clel_tf.trainers.train`."""

import importlib

from absl import flags
from docutils import nodes
from sphinx.util.docutils import SphinxDirective


def setup(app):
    app.add_directive("flags", _Flags)
    return {"parallel_read_safe": True}


class _Flags(SphinxDirective):
    required_arguments = 1

    def run(self):
        module = importlib.import_module(self.arguments[0])
        found = flags.FLAGS.get_flags_for_module(module)
        for flag in found:
            # Binaries have flags of the same names.
            delattr(flags.FLAGS, flag.name)
        return [nodes.definition_list("", *map(_item, found))]


def _item(flag):
    term = nodes.term("", "", nodes.literal("", f"--{flag.name}"))
    text = " ".join(flag.help.split())
    if flag.default not in (None, []):
        text += f" Default: {flag.default}."
    paragraph = nodes.paragraph(text=text, support_smartquotes=False)
    definition = nodes.definition("", paragraph)
    return nodes.definition_list_item("", term, definition)
