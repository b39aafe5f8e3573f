"""The region as AWS's library finds it: AWS_DEFAULT_REGION, or the region of the profile.

The settings cannot ask the library, which only `worker/aws/` imports. A test compares the two.
"""

import os
import shlex
from collections.abc import Mapping
from configparser import Error as ConfigError
from configparser import RawConfigParser
from pathlib import Path
from typing import Final

_CONFIG: Final = ("AWS_CONFIG_FILE", "~/.aws/config")
_CREDENTIALS: Final = ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
"""The variable that names the file, and the default."""


def default_region(environment: Mapping[str, str] = os.environ) -> str:
    """The region where AWS_REGION is not set; empty if there is none."""
    return environment.get("AWS_DEFAULT_REGION") or _profile_region(environment)


def region_source(environment: Mapping[str, str] = os.environ) -> str:
    """The name of what gives the region, for an error."""
    if any(value for name, value in environment.items() if name.upper() == "AWS_REGION"):
        return "AWS_REGION"
    return "AWS_DEFAULT_REGION" if environment.get("AWS_DEFAULT_REGION") else "the AWS profile's region"


def _profile_region(environment: Mapping[str, str]) -> str:
    """The credentials file comes before the configuration file, whose sections are called `[profile NAME]`."""
    profile = environment.get("AWS_DEFAULT_PROFILE") or environment.get("AWS_PROFILE") or "default"
    names = [("profile", profile), *([("default",)] if profile == "default" else [])]
    configured = [region for name, region in _regions(environment, _CONFIG).items() if name in names]
    # Of `[default]` and `[profile default]` the later one counts.
    return _regions(environment, _CREDENTIALS).get((profile,)) or "".join(configured[-1:])


def _regions(environment: Mapping[str, str], file: tuple[str, str]) -> dict[tuple[str, ...], str]:
    """The regions in a file, by the words of their sections' names; none if the library could not read it either."""
    variable, default = file
    parser = RawConfigParser(default_section="")
    try:
        parser.read_string(Path(os.path.expandvars(environment.get(variable) or default)).expanduser().read_text())
        return {tuple(shlex.split(name)): parser.get(name, "region", fallback="") for name in parser.sections()}
    except (OSError, ConfigError, ValueError, RuntimeError):
        return {}
