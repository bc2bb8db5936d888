"""Links to the glossary: on each page the first use of each of its terms, found while the book is built.

Nobody has to mark them, so none is forgotten or marked twice. Titles, links, code and formulas are left alone.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

PAGE = "glossary"
INDEX = "figures"  # each of its lines is a link already, and no link stands in a link
# Words that pages use in other senses too; their unambiguous forms are linked (`rounds of pruning`, `winning ticket`).
AMBIGUOUS = {"round", "store", "cell", "audit", "arm", "ticket", "profile", "shuffle", "trial", "mask"}
CLOSED = (
    nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.caption,
    nodes.raw, nodes.term, nodes.rubric, nodes.thead, nodes.citation, nodes.sidebar, addnodes.pending_xref,
    addnodes.desc, nodes.comment, nodes.substitution_definition,
)  # fmt: skip


def terms(text: str) -> list[str]:
    """The glossary's terms, as they stand at the start of a line between blank lines of its directive."""
    inside = text.split("```{glossary}\n", 1)[1].split("```", 1)[0]
    return [line for line in inside.splitlines() if line and not line.startswith(" ")]


class FirstUse(SphinxPostTransform):
    """Runs before references are resolved, so that Sphinx checks these as it checks any {term}."""

    default_priority = 1

    def run(self, **kwargs) -> None:
        docname = self.env.docname
        if docname in (PAGE, INDEX) or not hasattr(self.env, "first_use_terms"):
            return
        left = dict(self.env.first_use_terms)
        for text in list(self.document.findall(nodes.Text)):
            if left and not _closed(text):
                self._link(text, left, docname)

    def _link(self, text: nodes.Text, left: dict[str, re.Pattern], docname: str) -> None:
        said, made, at = text.astext(), [], 0
        found = sorted(
            ((m.start(), m, t) for t, p in left.items() if (m := p.search(said))), key=lambda f: (f[0], -len(f[2]))
        )
        for start, match, term in found:
            if start < at:
                continue
            left.pop(term)
            made.append(nodes.Text(said[at:start]))
            link = addnodes.pending_xref(
                "", nodes.inline("", match[0], classes=["std", "std-term"]), refdomain="std", reftype="term",
                reftarget=term, refdoc=docname, refwarn=True, refexplicit=True,
            )  # fmt: skip
            made.append(link)
            at = match.end()
        if made:
            made.append(nodes.Text(said[at:]))
            text.parent.replace(text, made)


def _closed(node: nodes.Node) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, CLOSED):
            return True
    return False


def read(app) -> None:
    """Longest terms first, so that "winning ticket" is not linked as "ticket"."""
    found = terms((Path(app.srcdir) / f"{PAGE}.md").read_text("utf-8"))
    named = sorted((t for t in found if t not in AMBIGUOUS), key=len, reverse=True)
    app.env.first_use_terms = {t: re.compile(rf"(?<![\w-]){re.escape(t)}(?![\w-])", re.I) for t in named}


def setup(app):
    app.add_post_transform(FirstUse)
    app.connect("builder-inited", read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
