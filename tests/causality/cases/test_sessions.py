"""Case 16, as far as a sync meets it: a chat that comes back takes a session that is open."""

from msgspec.structs import replace

from commands.session import Session
from handlers.options import Options
from tests.causality.cases.histories import ASSIGNED, SESSIONS
from tests.causality.stories.pair_world import PairWorld
from tests.causality.stories.story import ANNA, Story, conversation


def test_case_16_a_chat_that_comes_back_takes_its_agents_open_session() -> None:
    world = PairWorld.at_the_start(Story(name="16", before=ASSIGNED, writes=(), sessions=SESSIONS), Options())
    ended = world.write(conversation("the customer ends the chat", ended=True))
    assert ended is not None
    world.deliver([ended])
    assert (world.item("w1").status, world.item("w1").session) == ("wrap-up", f"s-{ANNA}")
    world.store.put_session(replace(SESSIONS[0], active=False))
    world.store.put_session(Session(id="s-anna-later", user=ANNA, capacity=3))
    back = world.write(conversation("the customer comes back", ended=False))
    assert back is not None
    world.deliver([back])
    assert (world.item("w1").status, world.item("w1").session) == ("assigned", "s-anna-later")
    later = world.store.session("s-anna-later")
    assert later is not None
    assert [entry.id for entry in later.work_items] == ["w1"]
