"""The Dockerfile, as the tests of the other deployment files need it."""

import re
from typing import Final

from server_process import ROOT

DOCKERFILE: Final = ROOT / "Dockerfile"


def last_stage() -> str:
    """The stage that becomes the image."""
    return DOCKERFILE.read_text().rpartition("\nFROM ")[2]


def image_user() -> str:
    """The image's `USER`."""
    return str(re.findall(r"^USER\s+(\S+)$", last_stage(), re.MULTILINE)[-1])


def image_environment() -> dict[str, str]:
    """The image's `ENV`."""
    line = re.findall(r"^ENV (.*)$", last_stage(), re.MULTILINE)[-1]
    return dict(pair.split("=", 1) for pair in line.split())
