"""MySQL, MariaDB and Aurora: how to connect, and how to sign in.

Besides what the driver takes (`ssl_ca`, `connect_timeout`…) the query of the URL may say:

    authentication=iam   sign in with a token of AWS instead of a password, over TLS
    authentication=secret&secret=NAME   sign in with what Secrets Manager says (name or ARN)
    region=eu-west-1     of the token or the secret, where nothing else tells it
    pool_size=1          connections kept open; a Lambda function answers one request at a time
    read_timeout=20      seconds for which a statement waits for its answer

Every round trip counts where the server is another machine. So a single statement that reads is
no transaction, and a connection that is in none is not reset when it goes back to the pool.
Several statements that read are REPEATABLE READ, so that what they see is one state. Writing is
READ COMMITTED: it locks rows, not gaps, and once it has waited for a lock it sees what the one
before it did.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from ssl import CERT_NONE, PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any

from sqlalchemy import URL, Engine, FromClause, Select, create_engine, event, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from lenticular.errors import Unavailable
from lenticular.index.sql import rds_token
from lenticular.index.sql.dialect import DatabaseFailure, Dialect
from lenticular.index.sql.mysql_errors import failure_of
from lenticular.index.sql.secret import Secret

POOL_SIZE = 8
BEYOND_POOL = 8
"""Connections opened beyond those that are kept, while many requests are answered at once."""

SECONDS_IN_POOL = 10
"""Seconds that a request waits for a connection of the pool."""

SECONDS_TO_CONNECT = 20
"""Seconds that a new connection may take. Aurora takes some 15 to resume, and API Gateway gives up
after 29: whoever comes first in the morning is answered."""

SECONDS_TO_BE_ALONE = 600

SECONDS_TO_ANSWER = 20
"""Seconds that an answer of the server may take before the connection counts as lost."""

SECONDS_TO_PING = 3
"""Seconds that the server may take to say that a connection still lives."""

SECONDS_IDLE_IN_WRITER = 10
"""After this time the server ends a connection that has written and says nothing more.

A writer that hangs in a transaction holds locks, also of the row that orders all commits, until
then. MySQL has no time-out for idle transactions alone. The pool replaces what was ended.
"""

SECONDS_FOR_LOCK = 2
"""Seconds that a statement waits for a lock; then others write, and it is tried again."""

TRUSTED_FOR = 1.0
"""Seconds after which a connection that lay idle is asked whether it still lives."""

_READING = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_START = "START TRANSACTION"
# RDS Proxy keeps these two by itself; a connection with any other variable is pinned, which means
# that nobody else can use it. Readers set none.
_WRITING = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SET SESSION wait_timeout = {SECONDS_IDLE_IN_WRITER}",
)
# So the template gives the server this one, and only other servers are told.
_LOCK_WAIT = "SELECT @@innodb_lock_wait_timeout"
_LOCK_WAIT_TO_SET = "SET SESSION innodb_lock_wait_timeout = {}"

_IN_TRANSACTION = 1
"""Flag in every answer of the server while a transaction is open (SERVER_STATUS_IN_TRANS)."""

_OURS = ("authentication", "secret", "region", "pool_size", "read_timeout")
_LAST_USED = "last_used"
_HAS_WRITTEN = "has_written"


class MySQL(Dialect):
    """The dialect of MySQL, MariaDB and Aurora."""

    is_embedded = False
    keeps_join_order = False

    def open_engine(self) -> Engine:
        """Return an engine with a pool that replaces what the server has ended."""
        return _open_engine(self.url)

    def failure(self, error: BaseException) -> DatabaseFailure | None:
        """Return the failure by the number of an error of pymysql."""
        return failure_of(error)

    @contextmanager
    def change_schema(self, engine: Engine) -> Iterator[Connection]:
        """Return a connection that holds the lock on the schema of this database."""
        with engine.connect() as connection, _schema_lock(connection):
            yield connection
            connection.commit()

    def force_index(self, query: Select[Any], table: FromClause, index: str) -> Select[Any]:
        """Add FORCE INDEX."""
        return query.with_hint(table, f"FORCE INDEX ({index})")

    def force_join_order(self, query: Select[Any]) -> Select[Any]:
        """Add STRAIGHT_JOIN."""
        return query.prefix_with("STRAIGHT_JOIN")


def _open_engine(url: URL) -> Engine:
    options = {name: str(url.query[name]) for name in _OURS if name in url.query}
    url = url.difference_update_query(_OURS)
    url = url.update_query_dict({"charset": "utf8mb4"})
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(SECONDS_TO_CONNECT)})
    if "write_timeout" not in url.query:
        url = url.update_query_dict({"write_timeout": str(SECONDS_TO_ANSWER)})
    engine = create_engine(
        url,
        pool_size=int(options.get("pool_size", POOL_SIZE)),
        max_overflow=BEYOND_POOL,
        pool_timeout=SECONDS_IN_POOL,
        pool_use_lifo=True,
        pool_reset_on_return=None,
        paramstyle="format",  # by position, for Statement
        connect_args={
            "autocommit": True,
            # Of the handshake; statements may take longer.
            "read_timeout": int(str(url.query["connect_timeout"])),
        },
    )
    event.listen(engine, "connect", _waiter(options))
    event.listen(engine, "checkin", _remember)
    event.listen(engine, "checkout", _ask_after_pause)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "reset", _reset)
    if authorities := url.query.get("ssl_ca"):
        event.listen(engine, "do_connect", _requirer(str(authorities)))
    if sign_in := _sign_in(url, options):
        event.listen(engine, "do_connect", sign_in)
    return engine


@contextmanager
def _schema_lock(connection: Connection) -> Iterator[None]:
    """Hold a named lock of the database, which ends with the session at the latest."""
    # Changing the schema of a large table takes long.
    with _read_timeout(connection.connection.dbapi_connection, None), _locked(connection):
        yield


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    # Names of locks are shared by all databases of a server, and at most 64 characters long.
    name = func.left(func.concat("lenticular.", func.database()), 64)
    if connection.scalar(select(func.get_lock(name, SECONDS_TO_BE_ALONE))) != 1:
        raise Unavailable("Somebody else has been changing the schema for long; try again later.")
    # A migration waits for the writers under way, also for one that hangs.
    connection.exec_driver_sql(_LOCK_WAIT_TO_SET.format(SECONDS_TO_BE_ALONE))
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql(_LOCK_WAIT_TO_SET.format(SECONDS_FOR_LOCK))
            connection.execute(select(func.release_lock(name)))


def _remember(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info[_LAST_USED] = time.monotonic()


def _ask_after_pause(connection: Any, entry: ConnectionPoolEntry, _: object) -> None:
    """Check that the server still has the session; raise an error for a new connection if not."""
    if time.monotonic() - entry.info.get(_LAST_USED, time.monotonic()) < TRUSTED_FOR:
        return
    try:
        with _read_timeout(connection, SECONDS_TO_PING):
            connection.ping(reconnect=False)
    except Exception as error:
        raise DisconnectionError from error


def _waiter(options: Mapping[str, str]) -> Any:
    """Return a listener that limits how long a new connection waits for each answer."""
    seconds = int(options.get("read_timeout", SECONDS_TO_ANSWER))

    def limit(connection: Any, _: ConnectionPoolEntry) -> None:
        connection._read_timeout = seconds

    return limit


@contextmanager
def _read_timeout(connection: Any, seconds: float | None) -> Iterator[None]:
    """Wait at most so long for each answer of a connection of the driver; None is for ever."""
    before = connection._read_timeout
    connection._read_timeout = seconds
    try:
        yield
    finally:
        connection._read_timeout = before


def _begin(connection: Connection) -> None:
    cursor = connection.connection.cursor()
    if not connection.get_execution_options().get("writes"):
        cursor.execute(_READING)
    elif not connection.info.get(_HAS_WRITTEN):
        _prepare_to_write(cursor)
        connection.info[_HAS_WRITTEN] = True
    cursor.execute(_START)


def _prepare_to_write(cursor: Any) -> None:
    for statement in _WRITING:
        cursor.execute(statement)
    cursor.execute(_LOCK_WAIT)
    if cursor.fetchone()[0] > SECONDS_FOR_LOCK:
        cursor.execute(_LOCK_WAIT_TO_SET.format(SECONDS_FOR_LOCK))


def _reset(connection: Any, _: ConnectionPoolEntry, state: PoolResetState) -> None:
    if not state.terminate_only and connection.server_status & _IN_TRANSACTION:
        connection.rollback()


def _requirer(authorities: str) -> Any:
    """Return a check for missing files of certificates, which the driver would not name."""

    def require(*_: Any) -> None:
        if not Path(authorities).is_file():
            raise FileNotFoundError(
                f"The certificate authorities {authorities}, by which the database is known, are"
                " missing; make build fetches those of Amazon RDS."
            )

    return require


def _sign_in(url: URL, options: Mapping[str, str]) -> Any:
    """Return the hook that signs in each new connection; None if the URL has user and password."""
    region = options.get("region")
    match options:
        case {"authentication": "iam"}:
            return _signer(url, region)
        case {"authentication": "secret", "secret": name}:
            return _reader(Secret(name, region))
        case {"authentication": _}:
            raise ValueError(
                "The URL of the index should say authentication=iam, or authentication=secret with"
                " secret=NAME."
            )
    return None


def _reader(secret: Secret) -> Any:
    """Return a connector that uses the secret, and reads it again when the database refuses it."""

    def connect(dialect: Any, entry: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
        for anew in (False, True):
            try:
                return dialect.connect(*arguments, **{**parameters, **secret.read(anew=anew)})
            except dialect.dbapi.Error as error:
                if failure_of(error) is not DatabaseFailure.REFUSED:
                    raise
                refused = error
        # A rotation changes the database some seconds before the secret says so.
        raise Unavailable("The index refuses the secret; try again in a moment.") from refused

    return connect


def _signer(url: URL, region: str | None) -> Any:
    """Return a hook that gives each new connection a token, which is valid for 15 minutes."""
    unchecked = cache(_unchecked)  # made once for the engine, and only if it is needed

    def sign(dialect: Any, entry: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        host, user = str(url.host), str(url.username)
        parameters["password"] = rds_token.token(host, url.port or 3306, user, region)
        # Never in clear text: without a certificate to check against, encrypted all the same.
        if "ssl" not in parameters:
            parameters["ssl"] = unchecked()

    return sign


def _unchecked() -> SSLContext:
    """Return TLS without verification; certificates are not loaded, which saves time."""
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    return context
