"""Any environment gives settings or lines: no exception, one line per error, and no secret in it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.settings.test_settings import GOOD
from worker.settings.reading import SettingErrors, near_misses, read_settings
from worker.settings.settings import Settings
from worker.settings.table import setting_rows

SECRET = "me:hunter2"
VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=80),
    st.sampled_from(
        ["0", "1", "-1", "1e999", "nan", "inf", "true", " 5", "5\n", "a,b", "a=1,a=2", "unix://", "udp://:"]
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["arn:aws:sns:", "https://", "http://[", "mongodb://", "udp://", "unix:"]),
        st.sampled_from([f"{SECRET}@", ""]),
        st.text("abc:/.@-[]1%?& ", max_size=30),
    ),
)


@given(st.dictionaries(st.sampled_from([row.name for row in setting_rows()]), VALUES, max_size=4))
def test_row_9_any_environment_gives_settings_or_lines(variables: dict[str, str]) -> None:
    environment = {**GOOD, **variables, "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        found = read_settings(Settings)
    assert near_misses(Settings, environment) == []
    if isinstance(found, SettingErrors):
        assert found.lines
        for line in found.lines:
            assert line.splitlines() == [line]
            assert line.partition(":")[0] in environment
            assert f"://{SECRET}@" not in line
    else:
        assert all(value == value.strip() for value in variables.values())
