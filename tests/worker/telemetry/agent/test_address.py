"""The agent's address in the forms that its users write."""

import pytest

from worker.telemetry.agent.address import AgentAddress, UdpAddress, UnixAddress, parse_agent_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("datadog-agent", UdpAddress(host="datadog-agent", port=9125)),
        ("10.1.2.3", UdpAddress(host="10.1.2.3", port=9125)),
        ("fd00::1", UdpAddress(host="fd00::1", port=9125)),
        ("udp://datadog-agent:8126", UdpAddress(host="datadog-agent", port=8126)),
        ("udp://datadog-agent", UdpAddress(host="datadog-agent", port=9125)),
        ("udp://[fd00::1]:8126", UdpAddress(host="fd00::1", port=8126)),
        ("unix:///var/run/datadog/dsd.socket", UnixAddress(path="/var/run/datadog/dsd.socket")),
        ("unixgram:///dsd.socket", UnixAddress(path="/dsd.socket", kind="datagram")),
        ("unixstream:///dsd.socket", UnixAddress(path="/dsd.socket", kind="stream")),
    ],
)
def test_row_11_the_forms_of_an_address(text: str, address: AgentAddress) -> None:
    assert parse_agent_address(text, port=9125) == address


@pytest.mark.parametrize(
    "text",
    [
        "http://agent:8126",
        "unix://dsd.socket",
        "udp://",
        "udp://agent:0",
        "udp://agent:x",
        "udp://agent:99999",
        "a:8125",
    ],
)
def test_row_11_an_address_that_no_agent_has(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(it|the path) "):
        parse_agent_address(text)
