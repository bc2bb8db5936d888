"""Under each heading that names a figure of the papers, a link to the page of the paper that prints it.

Nobody writes them: which figures a heading names is read from its words, and where they are printed from a list.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.transforms import SphinxTransform

from lth_companion.pages import figure_index


class PaperFigures(SphinxTransform):
    """Runs before the book's own links are resolved; these lead outside and need no resolving."""

    default_priority = 700

    def apply(self, **kwargs) -> None:
        for section in list(self.document.findall(nodes.section)):
            title = section.next_node(nodes.title)
            figures = figure_index.named(self.env.docname, title.astext()) if title else []
            if figures:
                section.insert(section.index(title) + 1, printed(figures))


def printed(figures: list[tuple[str, int]]) -> nodes.paragraph:
    """One small line with a link a page of the paper."""
    line = nodes.paragraph(classes=["lth-printed"])
    line += nodes.Text("Beside it: ")
    pages = dict.fromkeys(figure_index.in_paper(*figure) for figure in figures)
    for i, (words, address) in enumerate(pages):
        line += nodes.Text(", " if i else "")
        line += nodes.reference("", words, refuri=address, internal=False)
    line += nodes.Text(".")
    return line


def setup(app):
    app.add_transform(PaperFigures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
