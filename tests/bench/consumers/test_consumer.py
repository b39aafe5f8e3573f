"""Each peer stands in all the places that name it: the list of consumers, the Makefile, and the table of the docs."""

import re

from server_process import ROOT
from tests.bench.consumers.consumer import ALL, PEERS_BIN

PEERS = {consumer.name for consumer in ALL if consumer.command[0].startswith(str(PEERS_BIN))}


def test_the_makefile_sets_up_the_environment_of_every_peer() -> None:
    found = re.search(r"^PEERS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    assert set(found[1].split()) == PEERS


def test_the_docs_name_every_consumer() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    table = text.partition("| consumer | what |")[2].partition("\n\n")[0]
    named = {name.strip() for row in table.splitlines()[2:] for name in row.split("|")[1].split(",")}
    assert named == {consumer.name for consumer in ALL}
