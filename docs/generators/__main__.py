"""`make docs`: writes docs/permutations.md and every generated block of the other pages."""

from docs.generators.blocks import ROOT, pages, with_blocks
from docs.generators.permutations import page


def write() -> None:
    """Write the pages whose text differs from what the code says now."""
    (ROOT / "docs" / "permutations.md").write_text(page())
    for path in pages():
        text = path.read_text()
        anew = with_blocks(text)
        if anew != text:
            path.write_text(anew)


if __name__ == "__main__":
    write()
