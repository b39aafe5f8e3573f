"""`make docs`: writes the generated files, and every generated block of the other pages."""

from docs.generators.blocks import ROOT, pages, with_blocks
from docs.generators.metrics import metric_metadata_file
from docs.generators.permutations import page


def write() -> None:
    """Write the permutations page, the metrics' metadata, and every page that has an outdated block."""
    (ROOT / "docs" / "permutations.md").write_text(page())
    (ROOT / "deploy" / "datadog" / "metric-metadata.json").write_text(metric_metadata_file())
    for path in pages():
        text = path.read_text()
        current = with_blocks(text)
        if current != text:
            path.write_text(current)


if __name__ == "__main__":
    write()
