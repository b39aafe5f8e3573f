"""`make localstack`: what it tells `make run` and `make serve` are settings of both."""

import up
from worker.settings.settings import Settings
from worker.settings.verbs.serve import ServeSettings


def test_its_settings_are_settings_of_both_processes() -> None:
    names = {name.lower() for name in up.SETTINGS}
    assert names <= Settings.model_fields.keys() & ServeSettings.model_fields.keys()
