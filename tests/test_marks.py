"""A run without their mark does not read the folders of conftest.py: they hold no test without it.

`tests/e2e/conftest.py` marks every test of its folder. In `tests/browser/` each file marks its own.
"""

import ast
from pathlib import Path

HERE = Path(__file__).parent


def _marks(path: Path) -> str:
    """What the whole file is marked with."""
    return "".join(
        ast.unparse(node.value)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    )


def test_every_file_of_tests_browser_has_the_mark() -> None:
    files = sorted((HERE / "browser").rglob("test_*.py"))
    assert len(files) > 1
    assert [path.name for path in files if "pytest.mark.browser" not in _marks(path)] == []
