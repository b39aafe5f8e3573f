"""`make demo`: first the incident of 2022 under two policies, then a day in the life, in less than a minute.

Starts moto's server (SNS, SQS) and a real mongod, provisions, and starts two workers as processes, one with
`SYNC_POLICY=legacy`, one with `causal`, and beside the second one the API. Publishes an event or sends an update at a
time, waits until it is handled, prints what the workers wrote and why, and checks how every pair ends. Exit status 0
only if every check holds. Where a person watches, the status page stays open until Enter.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from rich.console import Console

from demo.installation import Installation, embedded
from demo.play import Demo
from demo.processes import ApiClient, DemoError
from demo.report import WIDTH, save_picture
from demo.story import CHAT
from server_process import ServerError, stop_on_signals

_NO = ("", "0", "false", "no")


def run(console: Console, *, pause: bool) -> Demo:
    """Play the whole demo on servers of its own. `pause`: the status page stays open until Enter."""
    console.print("Starting SNS and SQS (moto), a real MongoDB, two workers and the API …", style="dim")
    demo = Demo(console=console, checks=[], printed={})
    with (
        tempfile.TemporaryDirectory(prefix="routing-sync-demo-") as folder,
        embedded(("legacy", "causal"), Path(folder)) as installations,
    ):
        legacy, causal = installations
        # It is not needed before the chat: it starts while the first scenes are played.
        causal.launch_api()
        demo.seed(causal)
        demo.play_incident(installations)
        # Two cores have enough to do without it.
        legacy.worker.stop()
        demo.play_day(causal)
        if pause:
            _wait_for_enter(console, causal)
        demo.stop(installations)
    demo.printed["checks"] = [{"what": check.what, "holds": check.holds} for check in demo.checks]
    return demo


def is_watched(environment: Mapping[str, str], *streams: TextIO) -> bool:
    """Whether a person sits in front of the streams: at a terminal, and not in a build."""
    in_build = environment.get("CI", "").lower() not in _NO
    return all(stream.isatty() for stream in streams) and not in_build


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="The whole worker on this machine, on embedded parts"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object to standard output instead of tables"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="save a picture of what is printed")
    asked = parser.parse_args()
    stop_on_signals()
    console = Console(stderr=asked.json, quiet=asked.json, record=asked.svg is not None)
    console.width = WIDTH if asked.svg else min(console.width, WIDTH)
    try:
        watched = is_watched(os.environ, sys.stdin, sys.stdout)
        demo = run(console, pause=watched and not asked.json and asked.svg is None)
    except (DemoError, ServerError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # The terminal may be gone.
        with contextlib.suppress(OSError):
            print("demo: stopped, with every server it started", file=sys.stderr)
        return 130
    if asked.json:
        print(json.dumps(demo.printed))
    if asked.svg:
        save_picture(console, asked.svg)
    return 0 if all(check.holds for check in demo.checks) else 1


def _wait_for_enter(console: Console, installation: Installation) -> None:
    api = installation.api
    console.print(
        f"\n[bold]The status page[/bold]  {api.url}/\n"
        f"[bold]The chat's pair[/bold]  {api.url}/conversations/{CHAT}\n"
        f"The browser asks for a name and a password: any name, [bold]{api.tokens[ApiClient.READ]}[/bold]\n"
        "They stay open until Enter, which ends the demo. ",
        highlight=False,
        end="",
    )
    # The end of the input is as good.
    sys.stdin.readline()


if __name__ == "__main__":
    sys.exit(main())
