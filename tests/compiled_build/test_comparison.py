"""The comparison compares nothing but a compiled build with the source."""

from pathlib import Path

import pytest

from compiled_build import comparison, tree
from handlers.documents.stored_values import StoredDate, StoredDouble, StoredInt64
from server_process import ROOT
from tests.compiled_build.outcomes import plain
from worker.telemetry.build import BUILD

pytestmark = pytest.mark.thorough


@pytest.mark.skipif(BUILD == "compiled", reason="the folder of the tests is the compiled one")
def test_a_folder_that_is_not_compiled_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert comparison.main([str(ROOT)]) == 1
    assert f"{ROOT} is interpreted" in capsys.readouterr().err


def test_a_folder_without_packages_is_no_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The environment of the tests has the packages, so the folder hides them.
    for name in ("worker", "sync"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    assert comparison.main([str(tmp_path)]) == 1
    assert "no build" in capsys.readouterr().err


def test_a_line_tells_stored_types_apart() -> None:
    text = "2024-05-06T07:08:09.000Z"
    values = [2, 2.0, True, StoredDouble(2), StoredInt64(2), StoredInt64(2**63), text, StoredDate(text)]
    assert [repr(plain(value)) for value in values] == [
        *("2", "2.0", "True", "['StoredDouble', 2]", "['StoredInt64', 2]", "['StoredInt64', '9223372036854775808']"),
        *(f"'{text}'", f"['StoredDate', '{text}']"),
    ]


def test_wrong_arguments_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert tree.main([]) == 2
    with pytest.raises(SystemExit, match="2"):
        comparison.main([])
    assert capsys.readouterr().err.count("usage: ") == 2
