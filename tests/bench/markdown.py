"""Markdown tables, ready to be copied from the output of a benchmark into a page of docs/."""

from rich import box
from rich.table import Table


def markdown_table(title: str, *columns: str) -> Table:
    """An empty table. The first column is aligned left, the others right."""
    table = Table(title=title, title_justify="left", box=box.MARKDOWN)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table
