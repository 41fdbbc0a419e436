"""The settings: the only reader of the environment and of configuration files.

A setting has a name in the configuration file (TOML, named by `LENTICULAR_CONFIG`) and an
environment variable `LENTICULAR_…` of the same name in capitals, which wins. The command line
wins over both. `lenticular config show` prints what is in force.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

Right = Literal["read", "write"]
RIGHTS: tuple[Right, ...] = ("read", "write")
UIDS = ("lenient", "strict")
PREFIX = "LENTICULAR_"
CHOICES = {
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("auto", "json", "text"),
}
GIBIBYTE = 1024**3
LISTS = ("users", "tokens", "query_tags")
"""The settings that are lists, which environment variables hold as JSON or with commas."""


class InvalidSettings(Exception):
    """A setting is wrong; the message names it and says what it should be."""


@dataclass(frozen=True, slots=True)
class User:
    """Someone who signs in with HTTP Basic. `password` is plain or made by `config password`."""

    name: str
    password: str
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, plain, and what it allows."""

    token: str
    rights: frozenset[Right]


@dataclass(frozen=True, slots=True)
class QueryTagSetting:
    """An attribute to be searched for, as it is written; see `dicom/query_tags.py`."""

    path: str
    level: str
    vr: str = ""
    private_creator: str = ""


def _data_folder() -> Path:
    """Return the user's folder for data, by the XDG Base Directory Specification.

    It does not depend on the working directory, so that a server that is started elsewhere opens
    the same archive.
    """
    root = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(root) / "lenticular"


DATA = _data_folder()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured, with its default."""

    data: Path = DATA
    """The folder of the embedded storage and index, of `incoming/` and `rejected/`."""
    storage: str = ""
    """URL of the file storage; empty is the folder `data`."""
    index: str = ""
    """URL of the index; empty is SQLite in the folder `data`."""
    host: str = "127.0.0.1"
    port: int = 8042
    workers: int = min(4, os.cpu_count() or 1)
    """Server processes."""
    viewer: str = str(Path(__file__).resolve().parents[3] / "build" / "viewer")
    """The folder that `make viewer` has made, or `s3://bucket/folder` with the same in it; what is
    there is served at /ohif/. Empty is no viewer."""
    oidc_client: str = ""
    """The client id of the viewer at the issuer at which it signs people in (OpenID Connect), where
    something in front of the server checks its tokens; empty: no sign-in."""
    oidc_issuer: str = ""
    oidc_scope: str = "openid"
    oidc_audience: str = ""
    oidc_origins: str = ""
    """Origins of the issuer's endpoints, separated by commas, where they are not its own."""
    replace: bool = False
    """True if other bytes under a stored SOP Instance UID replace the stored ones."""
    uids: str = "lenient"
    """`lenient` stores instances whose UIDs are invalid, with a warning; `strict` refuses them."""
    strict: bool = False
    """True if no deviation from PS3.18 is made that can be avoided (docs/conformance.md 3.11)."""
    stable_age: int = 60
    """Seconds without an addition after which a study counts as stable (Orthanc: StableAge)."""
    public_url: str = ""
    """The URL of the server for clients behind a proxy; empty follows the Host header."""
    allowed_origins: str = ""
    """Origins of web pages that may call, separated by commas, or `*`; empty is none but ours."""
    users: tuple[User, ...] = ()
    tokens: tuple[Token, ...] = ()
    log_level: str = "info"
    """The least level that is logged: debug, info, warning or error."""
    log_format: str = "auto"
    """`json` or `text`; `auto` is text on a terminal, else JSON."""
    query_tags: tuple[QueryTagSetting, ...] = ()
    """Further attributes that can be searched for."""
    maximum_body: int = 5 * GIBIBYTE
    """Bytes that one request may carry."""
    payload_ceiling: int = 0
    """Bytes that a request or an answer may carry; with storage in a bucket, what is larger goes
    there and back by presigned URLs. 0 is no ceiling."""
    largest_result: int = GIBIBYTE // 2
    """Above the ceiling, bytes of an answer up to which the client waits while it is made."""
    maximum_zip_entries: int = 100_000
    maximum_zip_bytes: int = 16 * GIBIBYTE
    """Bytes that one zip may unpack to."""

    @property
    def storage_url(self) -> str:
        """The file storage in force."""
        return self.storage or self.data.absolute().as_uri()

    @property
    def index_url(self) -> str:
        """The index in force."""
        return self.index or f"sqlite:///{self.data.absolute() / 'index.sqlite'}"

    @property
    def has_credentials(self) -> bool:
        """True if users or tokens are configured; then every request needs credentials."""
        return bool(self.users or self.tokens)


def load(environment: Mapping[str, str] = os.environ, /, **overrides: Any) -> Settings:
    """Read the settings: overrides that are not None, then the environment, then the file."""
    values = _from_file(environment.get(PREFIX + "CONFIG"))
    for field in fields(Settings):
        text = environment.get(PREFIX + field.name.upper())
        if text is not None:
            values[field.name] = text
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Settings(**{name: _convert(name, value) for name, value in values.items()})


def to_environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables from which `load` makes the same settings elsewhere."""
    texts = {
        field.name: str(getattr(settings, field.name))
        for field in fields(Settings)
        if field.name not in LISTS
    }
    # As JSON: a password may hold a comma, and a name a colon.
    for name in LISTS:
        items = [_plain(item) for item in getattr(settings, name)]
        texts[name] = json.dumps(items) if items else ""
    return {PREFIX + name.upper(): text for name, text in texts.items()}


def _plain(item: User | Token | QueryTagSetting) -> dict[str, Any]:
    """Return an item of a list in the form of a configuration file."""
    values = asdict(item)
    if "rights" in values:
        values["rights"] = sorted(values["rights"])
    return values


def _from_file(name: str | None) -> dict[str, Any]:
    if not name:
        return {}
    import tomllib

    try:
        values = tomllib.loads(Path(name).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"The configuration file {name} cannot be read: {error}") from error
    known = {field.name for field in fields(Settings)}
    for unknown in values.keys() - known:
        raise InvalidSettings(f"{name}: there is no setting called {unknown!r}.")
    return values


def _convert(name: str, value: Any) -> Any:
    default = getattr(Settings(), name)
    try:
        if name == "users":
            return tuple(_user(item) for item in _items(value))
        if name == "tokens":
            return tuple(_token(item) for item in _items(value))
        if name == "query_tags":
            return tuple(_query_tag(item) for item in _items(value))
        if name == "uids":
            return _one_of(UIDS, value)
        if isinstance(default, bool):
            return _truth(value)
        if name in CHOICES and value not in CHOICES[name]:
            raise ValueError(f"{value!r} is not one of {', '.join(CHOICES[name])}")
        return type(default)(value)
    except KeyError as error:
        raise InvalidSettings(f"The setting {name!r} is wrong: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise InvalidSettings(f"The setting {name!r} is wrong: {error}") from error


def _one_of(words: Sequence[str], value: Any) -> str:
    if value not in words:
        raise ValueError(f"{value!r} is not one of {', '.join(words)}")
    return str(value)


def _items(value: Any) -> Iterable[Any]:
    """Return the items of a list: of TOML, of JSON, or separated by commas."""
    if not isinstance(value, str):
        items: Iterable[Any] = value
        return items
    if value.lstrip().startswith("["):
        return list(json.loads(value))
    return [item for item in value.split(",") if item.strip()]


def _truth(value: Any) -> bool:
    words = {
        "true": True,
        "1": True,
        "yes": True,
        "false": False,
        "0": False,
        "no": False,
        "": False,
    }
    text = str(value).lower()
    if text not in words:
        raise ValueError(f"{value!r} is neither true nor false")
    return words[text]


def _user(item: Any) -> User:
    if isinstance(item, User):
        return item
    if isinstance(item, str):
        name, _, rest = item.partition(":")
        password, _, rights = rest.rpartition(":")
        item = {"name": name, "password": password, "rights": rights.split("+")}
    if not item["name"] or not item["password"]:
        raise ValueError("a user is name:password:rights, for example ann:secret:read+write")
    return User(item["name"], item["password"], _rights(item["rights"]))


def _token(item: Any) -> Token:
    if isinstance(item, Token):
        return item
    if isinstance(item, str):
        token, _, rights = item.rpartition(":")
        item = {"token": token, "rights": rights.split("+")}
    if not item["token"]:
        raise ValueError("write a token as token:rights, for example 0f3c…:read")
    return Token(item["token"], _rights(item["rights"]))


def _query_tag(item: Any) -> QueryTagSetting:
    if isinstance(item, QueryTagSetting):
        return item
    if isinstance(item, str):
        level, path, vr, creator = (*item.strip().split(":", 3), "", "", "")[:4]
        item = {"level": level, "path": path, "vr": vr, "private_creator": unquote(creator)}
    item, names = dict(item), {field.name for field in fields(QueryTagSetting)}
    if not item.get("level") or not item.get("path") or item.keys() - names:
        raise ValueError(
            "a query tag is level:path, level:path:VR or level:path:VR:creator, for example "
            "series:DeviceUID or instance:00191010:DS:GEMS_ACQU_01"
        )
    return QueryTagSetting(**{name: str(value).strip() for name, value in item.items()})


def _written(tag: QueryTagSetting) -> str:
    """Return the tag as one item of a list; the creator is what a vendor made up."""
    return f"{tag.level}:{tag.path}:{tag.vr}:{quote(tag.private_creator)}"


def _rights(names: Iterable[str]) -> frozenset[Right]:
    chosen = frozenset(right for right in RIGHTS if right in set(names))
    if set(names) - chosen or not chosen:
        raise ValueError("rights are read, write or read+write")
    return chosen


def shown(settings: Settings) -> dict[str, str]:
    """Return the settings as text for people, without passwords and tokens."""
    texts = {field.name: str(getattr(settings, field.name)) for field in fields(Settings)}
    texts["users"] = ", ".join(
        f"{user.name} ({'+'.join(sorted(user.rights))})" for user in settings.users
    )
    texts["tokens"] = ", ".join(
        f"… ({'+'.join(sorted(token.rights))})" for token in settings.tokens
    )
    texts["query_tags"] = ", ".join(_written(tag).rstrip(":") for tag in settings.query_tags)
    texts["storage"], texts["index"] = settings.storage_url, settings.index_url
    return {name: without_password(text) for name, text in texts.items()}


def without_password(text: str) -> str:
    """Return a URL with `…` in place of a password."""
    text = re.sub(r"(//[^/?#@:\s]*):[^/?#\s]*@", r"\1:…@", text)
    return re.sub(r"([?&](?:password|passwd|pwd|passphrase)=)[^&\s]*", r"\1…", text, flags=re.I)
