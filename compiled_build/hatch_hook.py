"""The build hook of hatchling: with `ROUTING_SYNC_COMPILE=1` the wheel holds the pure rooms compiled.

Without the variable, and for an editable installation, the hook does nothing and needs nothing.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_VARIABLE: Final = "ROUTING_SYNC_COMPILE"
_SUFFIXES: Final = (".py", ".so")


class CompiledBuildHook(BuildHookInterface):  # type: ignore[type-arg] # hatchling's own scripts name no type, either
    """Compiles in a temporary folder, and puts what it made there into the wheel."""

    PLUGIN_NAME = "custom"
    _folder: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`build_data` gets every module of the packages, from the temporary folder."""
        if version == "editable" or not _asked():
            return
        sys.path.insert(0, self.root)
        try:
            # The root is not on the module search path of a build that isolates its environment.
            from compiled_build.compiler import compile_packages  # noqa: PLC0415
            from compiled_build.rooms import PACKAGES  # noqa: PLC0415
        finally:
            sys.path.remove(self.root)
        self._folder = tempfile.mkdtemp(prefix="routing-sync-")
        folder = Path(self._folder)
        try:
            compile_packages(Path(self.root), folder)
        except BaseException:
            self._remove()
            raise
        of_packages = [path for package in PACKAGES for path in sorted((folder / package).rglob("*"))]
        made = [path for path in (*of_packages, *sorted(folder.glob("*.so"))) if path.suffix in _SUFFIXES]
        build_data["force_include"].update({str(path): path.relative_to(folder).as_posix() for path in made})
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """The temporary folder is removed once the wheel is written."""
        self._remove()

    def _remove(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _asked() -> bool:
    value = os.environ.get(_VARIABLE, "")
    if value not in ("", "0", "1"):
        message = f"{_VARIABLE}={value}: it is 1 (compiled) or 0 (interpreted)"
        raise ValueError(message)
    return value == "1"
