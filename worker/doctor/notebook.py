"""Where the checks of one area write what they come to, and how each check is kept within its time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from handlers.ports import StoreAway
from worker.errors import AwsAway, first_line
from worker.findings import Finding, FindingCode, Result, Sound, Untried

T = TypeVar("T")


class Notebook:
    """The results of one area, in the order of its checks. A check takes at most `check_s` seconds. `noted` is called
    with each result."""

    def __init__(self, area: str, *, check_s: float, noted: Callable[[Result], None]) -> None:
        self.area = area
        self.check_s = check_s
        self.results: list[Result] = []
        self._noted = noted

    def sound(self, subject: str, found: str) -> None:
        """Note what stands as it should."""
        self.take([Sound(subject=subject, found=found)])

    def untried(self, subject: str, reason: str) -> None:
        """Note what could not be looked at."""
        self.take([Untried(subject=subject, reason=reason)])

    def finding(self, code: FindingCode, subject: str, found: str, remedy: str) -> None:
        """Note a finding."""
        self.take([Finding(code=code, subject=subject, found=found, remedy=remedy)])

    def take(self, results: Iterable[Result]) -> None:
        """Note these results."""
        for result in results:
            self.results.append(result)
            self._noted(result)

    async def within_time(self, subject: str, call: Awaitable[T]) -> T | None:
        """The result of `call`; None, noted as untried, where its service is away or it takes too long. Raises
        SetupError as `call` does."""
        try:
            async with asyncio.timeout(self.check_s):
                return await self.if_there(subject, call)
        except TimeoutError:
            self.untried(subject, f"no answer within {self.check_s:g} s")
        return None

    async def if_there(self, subject: str, call: Awaitable[T]) -> T | None:
        """The same for a call that keeps its time by itself."""
        try:
            return await call
        except (AwsAway, StoreAway) as away:
            self.untried(subject, first_line(away))
        return None
