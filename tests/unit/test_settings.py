"""Where settings come from, and what is said when one is wrong."""

from pathlib import Path

import pytest

from lenticular import settings as configuration
from lenticular.settings import InvalidSettings, QueryTagSetting, Settings, Token, User


def test_without_anything_set_everything_is_embedded_and_local():
    settings = configuration.load({})
    assert settings.host == "127.0.0.1"
    assert settings.storage_url.startswith("file:///")
    assert settings.index_url.startswith("sqlite:///")
    assert not settings.has_credentials


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path):
    file = tmp_path / "lenticular.toml"
    file.write_text('port = 1\nhost = "10.0.0.1"\nworkers = 3\n')
    environment = {"LENTICULAR_CONFIG": str(file), "LENTICULAR_PORT": "2", "LENTICULAR_HOST": "h"}
    settings = configuration.load(environment, host="::1")
    assert (settings.workers, settings.port, settings.host) == (3, 2, "::1")


def test_users_and_tokens_come_from_the_environment():
    environment = {
        "LENTICULAR_USERS": "ann:se:cret:read+write,bob:x:read",
        "LENTICULAR_TOKENS": "0f3c:read",
    }
    settings = configuration.load(environment)
    assert settings.users == (
        User("ann", "se:cret", frozenset({"read", "write"})),
        User("bob", "x", frozenset({"read"})),
    )
    assert settings.tokens == (Token("0f3c", frozenset({"read"})),)


def test_users_come_from_the_file(tmp_path):
    file = tmp_path / "lenticular.toml"
    file.write_text('[[users]]\nname = "ann"\npassword = "p"\nrights = ["read"]\n')
    settings = configuration.load({"LENTICULAR_CONFIG": str(file)})
    assert settings.users == (User("ann", "p", frozenset({"read"})),)


def test_query_tags_come_from_the_environment_and_from_the_file(tmp_path):
    file = tmp_path / "lenticular.toml"
    file.write_text(
        '[[query_tags]]\npath = "DeviceUID"\nlevel = "series"\n'
        '[[query_tags]]\npath = "00191010"\nlevel = "instance"\nvr = "DS"\n'
        'private_creator = "A, B: 1"\n'
    )
    environment = {
        "LENTICULAR_QUERY_TAGS": "series:DeviceUID, instance:00191010:DS:A%2C B: 1,",
    }
    expected = (
        QueryTagSetting("DeviceUID", "series"),
        QueryTagSetting("00191010", "instance", "DS", "A, B: 1"),
    )
    assert configuration.load(environment).query_tags == expected
    settings = configuration.load({"LENTICULAR_CONFIG": str(file)})
    assert settings.query_tags == expected
    assert configuration.load(configuration.to_environment(settings)) == settings
    assert configuration.shown(settings)["query_tags"].startswith("series:DeviceUID, instance:")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"LENTICULAR_PORT": "many"}, "port"),
        ({"LENTICULAR_REPLACE": "perhaps"}, "replace"),
        ({"LENTICULAR_USERS": "ann"}, "users"),
        ({"LENTICULAR_USERS": "ann:secret:admin"}, "users"),
        ({"LENTICULAR_USERS": '[{"name": "ann", "password": "x"}]'}, "users.*rights.* is missing"),
        ({"LENTICULAR_TOKENS": "x"}, "tokens"),
        ({"LENTICULAR_QUERY_TAGS": "DeviceUID"}, "query_tags"),
        ({"LENTICULAR_CONFIG": "/nowhere.toml"}, "nowhere"),
    ],
)
def test_a_wrong_setting_is_named(environment, named):
    with pytest.raises(InvalidSettings, match=named):
        configuration.load(environment)


def test_an_unknown_setting_in_the_file_is_named(tmp_path):
    file = tmp_path / "lenticular.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(InvalidSettings, match="prot"):
        configuration.load({"LENTICULAR_CONFIG": str(file)})


def test_another_process_reads_the_same_settings_from_the_environment():
    settings = configuration.load(
        {"LENTICULAR_USERS": "ann:se:cret:read+write", "LENTICULAR_TOKENS": "t:write"},
        data=Path("/srv/pacs"),
        replace=True,
    )
    assert configuration.load(configuration.to_environment(settings)) == settings


def test_shown_settings_hold_no_password():
    settings = configuration.load(
        {
            "LENTICULAR_USERS": "ann:sesame:read",
            "LENTICULAR_TOKENS": "0f3c:read",
            "LENTICULAR_INDEX": "mysql+pymysql://root:sesame@host/db",
        }
    )
    text = str(configuration.shown(settings))
    assert "sesame" not in text
    assert "0f3c" not in text
    assert "ann" in text


@pytest.mark.parametrize("password", ["a,b", "a:b", 'a"b', "[a]", "ü, ö", "a=b&c@d/e"])
def test_workers_get_every_password_as_it_is(password):
    settings = Settings(
        users=(User("ann, the 1st", password, frozenset({"read", "write"})),),
        tokens=(Token(password, frozenset({"read"})),),
    )

    assert configuration.load(configuration.to_environment(settings)) == settings


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://ann:se%40cret@host/database",
        "mysql+pymysql://host/database?password=se%40cret&user=ann",
        "https://ann:se%40cret@pacs.example.org/path",
    ],
)
def test_passwords_in_urls_are_not_shown(url):
    for settings in (Settings(index=url), Settings(public_url=url), Settings(storage=url)):
        text = " ".join(configuration.shown(settings).values())

        assert "cret" not in text
        assert "host" in text or "pacs.example.org" in text


def test_the_archive_does_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    before = configuration.load({}).data
    monkeypatch.chdir(tmp_path)

    assert configuration.load({}).data == before
    assert before.is_absolute()
    assert Path(configuration.load({}).viewer).is_absolute()
