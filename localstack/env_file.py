"""The env file of a local run: the output of `routing-sync provision --json` as lines for a shell.

The script reads that JSON object from standard input and prints the lines. The compose file hands the queue and the
topics to the worker this way.
"""

import json
import shlex
import sys
from collections.abc import Mapping

_NEEDED = ("SQS_QUEUE_URL", "SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN")


def provisioned(output: str) -> dict[str, str]:
    """The variables in the last line of `routing-sync provision --json`; `ValueError` where they are missing."""
    last = output.strip().splitlines()[-1:] or [""]
    try:
        values = json.loads(last[0])
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, dict) or any(not values.get(name) for name in _NEEDED):
        raise ValueError(
            f"`routing-sync provision --json` did not print {', '.join(_NEEDED)}: run it by hand to see why"
        )
    return {name: str(value) for name, value in values.items() if name.isupper() and value is not None}


def lines(variables: Mapping[str, str]) -> str:
    """One NAME=value a line, quoted for a shell."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


def main() -> int:
    """Read standard input, print to standard output; returns the exit status."""
    try:
        print(lines(provisioned(sys.stdin.read())), end="")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
