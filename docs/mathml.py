"""Formulas as MathML, which browsers show by themselves: no script is fetched, none is needed."""

from __future__ import annotations

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

SIZES = re.compile(r"\\[bB]igg?[lrm]?(?![A-Za-z])")  # of fences: MathML chooses them


def visit_inline(translator, node):
    """A formula within a line."""
    translator.body.append(tex2mathml(SIZES.sub("", node.astext())))
    raise nodes.SkipNode


def visit_block(translator, node):
    """A formula of its own; it scrolls where the screen is narrow."""
    formula = tex2mathml(SIZES.sub("", node.astext()), as_block=True)
    style = "overflow: auto hidden; padding: 0.5em 0"
    translator.body.append(f'<div style="{style}">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Make it the renderer of formulas."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
