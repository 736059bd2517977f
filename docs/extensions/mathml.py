"""Equations as MathML, which browsers draw without a script or a font of ours.

MathJax and KaTeX come from a server on the net, or as megabytes of scripts.
"""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def setup(app):
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(_inline, None),
        block_renderers=(_block, None),
    )
    return {"parallel_read_safe": True}


def _inline(translator, node):
    translator.body.append(convert(node.astext()))
    raise SkipNode


def _block(translator, node):
    equation = convert(node.astext(), display="block")
    translator.body.append(f'<div class="equation">{equation}</div>\n')
    raise SkipNode
