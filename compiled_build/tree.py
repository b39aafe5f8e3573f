"""`python -m compiled_build.tree WHEEL FOLDER`: the wheel's packages beside the tests, so that the tests run on them.

The tests get the `replace` that takes native values; else they are what they are. The folder has no source of the
packages but the wheel's, so nothing but the wheel can be tested in it.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from compiled_build.native_values import with_native_replace
from compiled_build.rooms import PACKAGES
from compiled_build.value_list import write_value_list

_ROOT: Final = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Lays the folder anew. Returns 0, or 2 where the arguments are wrong."""
    if len(arguments) != 2 or not Path(arguments[0]).is_file():
        sys.stderr.write("usage: python -m compiled_build.tree WHEEL FOLDER, where WHEEL is one wheel\n")
        return 2
    wheel, folder = Path(arguments[0]), Path(arguments[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    add_tests(folder)
    # The peers that `make bench` measures stay where they are.
    (folder / ".venv-bench").symlink_to(_ROOT / ".venv-bench")
    return 0


def add_tests(folder: Path) -> None:
    """Puts everything but the packages into the folder, which holds the packages of a build, and the list of the value
    classes that the source has."""
    for name in _files():
        target = folder / name
        if name.split("/")[0] in PACKAGES or not (_ROOT / name).is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # The tests of the source step have their own source, as text.
        if name.endswith(".py") and not name.startswith("tests/compiled_build/"):
            target.write_text(with_native_replace((_ROOT / name).read_text()))
        else:
            shutil.copyfile(_ROOT / name, target)
    write_value_list(_ROOT, folder)


def _files() -> list[str]:
    """What git tracks, and what is new and not ignored."""
    command = ["git", "-C", str(_ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    return listed.stdout.split("\0")[:-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
