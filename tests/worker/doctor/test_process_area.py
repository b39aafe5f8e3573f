"""What the process needs of this machine."""

from tests.worker.aws.worker_queue import worker_settings
from worker.doctor.notebook import Notebook
from worker.doctor.process_area import examine_process
from worker.doctor.settings_area import UsableSettings
from worker.findings import Untried


async def test_an_address_that_is_not_tried_in_time_is_not_called_sound() -> None:
    notebook = Notebook("process", check_s=0, noted=lambda _: None)
    settings = worker_settings("http://127.0.0.1/queue/us-east-1/000000000000/events", "http")
    await examine_process(notebook, UsableSettings(settings=settings, wrong=frozenset()))
    _, address, agent = notebook.results
    assert address == Untried(subject="HTTP_HOST 127.0.0.1, HTTP_PORT 8080", reason="no answer within 0 s")
    assert isinstance(agent, Untried)
