"""Callers by their tokens, and what each may do."""

import hmac

import pytest
from starlette.datastructures import Headers

from tests.worker.api.face import token_of
from worker.api.callers import Caller, CallerTable
from worker.settings.api_tokens import Role

TOKENS = [token_of("reader"), token_of("crm", Role.WRITE, org="org-1"), token_of("router", Role.ROUTER)]


def test_a_caller_has_the_name_role_and_org_of_the_token() -> None:
    found = CallerTable(TOKENS).caller(Headers({"authorization": "Bearer secret-crm"}), passwords=False)
    assert found == Caller(name="crm", role=Role.WRITE, org="org-1")


@pytest.mark.parametrize("token", ["secret-reader", "secret-crm", "x", "secret-reader" * 100])
def test_every_digest_is_compared_in_constant_time(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client learns from the time of an answer neither that a token is known nor which one."""
    compared: list[tuple[int, int]] = []
    constant_time = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return constant_time(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    CallerTable(TOKENS).caller(Headers({"authorization": f"Bearer {token}"}), passwords=False)
    assert compared == [(32, 32)] * 3


@pytest.mark.parametrize("tokens", [("secret-crm", "secret-crm"), ("secret-crm", "other"), ("other", "secret-crm")])
def test_two_tokens_are_none(tokens: tuple[str, str]) -> None:
    """A proxy in front may have let the request pass for the other one."""
    headers = Headers(raw=[(b"authorization", f"Bearer {token}".encode()) for token in tokens])
    assert CallerTable(TOKENS).caller(headers, passwords=False) is None


@pytest.mark.parametrize("role", Role)
def test_each_role_includes_the_ones_before_it(role: Role) -> None:
    roles = list(Role)
    assert [each for each in roles if role.includes(each)] == roles[: roles.index(role) + 1]
