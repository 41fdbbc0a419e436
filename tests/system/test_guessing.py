"""Guessing names and passwords: names cannot be told apart, and guesses become slow."""

import asyncio
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from lenticular.settings import User
from lenticular.web.access.guessing import (
    Brake,
    Failures,
    GuessingLimits,
    NewestFirst,
    TooManyAttempts,
)
from lenticular.web.access.passwords import Users, hash_password
from tests.helpers import wire
from tests.helpers.server_process import Server

STUDIES = f"{wire.DICOMWEB}/studies"
GUESSERS = 100


@pytest.fixture(scope="module")
def users() -> Users:
    rights = frozenset({"read"})
    hashed = User("ann", hash_password("secret"), rights)
    return Users([hashed, User("bob", "plain", rights)])


def test_unknown_names_take_as_long_as_wrong_passwords(users):
    def seconds(name: str) -> float:
        started = time.thread_time()
        assert users.rights_of_plain(name, "wrong") is None
        assert users.rights_of(name, "wrong") is None
        return time.thread_time() - started

    medians = [statistics.median(seconds(name) for _ in range(5)) for name in ("ann", "bob", "eve")]

    assert max(medians) < 1.5 * min(medians)


def test_each_failure_holds_the_next_answer_back_longer_up_to_a_limit():
    failures = Failures(GuessingLimits(free_failures=2, first_hold=1, longest_hold=5))

    holds = [failures.add(["ann"]) for _ in range(6)]

    assert holds == [0, 0, 1, 2, 4, 5]
    assert failures.add(["bob"]) == 0


def test_failures_are_forgotten_after_a_while_and_when_they_are_too_many():
    now = [0.0]
    limits = GuessingLimits(free_failures=0, first_hold=1, forget_after=10, most_remembered=3)
    failures = Failures(limits, clock=lambda: now[0])
    assert failures.add(["ann"]) == 1

    now[0] = 11
    assert failures.add(["ann"]) == 1
    for name in range(100):
        failures.add([name])

    assert len(failures) == 3


def test_the_newest_attempt_is_served_first_and_the_oldest_gives_way():
    async def scenario() -> tuple[list[int], int]:
        turns: NewestFirst[int] = NewestFirst(most_waiting=3)
        order: list[int] = []

        def work(number: int) -> int:
            time.sleep(0.05)
            order.append(number)
            return number

        first = asyncio.create_task(turns.run(lambda: work(0)))
        await asyncio.sleep(0.02)
        others = [asyncio.create_task(turns.run(lambda n=n: work(n))) for n in range(1, 6)]
        done = await asyncio.gather(first, *others, return_exceptions=True)
        return order, sum(isinstance(each, TooManyAttempts) for each in done)

    assert asyncio.run(scenario()) == ([0, 5, 4, 3], 2)


def test_an_address_has_so_many_attempts_at_the_same_time_and_no_more():
    async def scenario() -> None:
        brake = Brake(GuessingLimits(most_pending=2))
        async with brake.attempt("a"), brake.attempt("a"):
            with pytest.raises(TooManyAttempts):
                async with brake.attempt("a"):
                    pass
            async with brake.attempt("b"):
                pass
        async with brake.attempt("a"):
            pass

    asyncio.run(scenario())


def test_a_right_password_works_in_time_while_a_hundred_guess(tmp_path):
    environment = {"LENTICULAR_USERS": f"ann:{hash_password('secret')}:read"}
    with Server(tmp_path / "data", environment=environment) as server:
        until = time.monotonic() + 5

        def guess(number: int) -> int:
            guesses = 0
            with server.client() as client:
                while time.monotonic() < until:
                    try:
                        answer = client.get(STUDIES, auth=("ann", f"wrong{number}"), timeout=3)
                    except httpx2.TransportError:  # held back, or the server is gone
                        return guesses
                    assert answer.status_code in (401, 429)
                    guesses += answer.status_code == 401
            return guesses

        with ThreadPoolExecutor(GUESSERS) as pool:
            guessing = [pool.submit(guess, number) for number in range(GUESSERS)]
            time.sleep(3)
            started = time.monotonic()
            with server.client() as client:
                answer = client.get(STUDIES, auth=("ann", "secret"))
            elapsed = time.monotonic() - started
            server.kill()  # it would finish the answers that it holds back
            guesses = sum(each.result() for each in guessing)

    assert answer.status_code == 200
    assert elapsed < 3
    # Each of them gets an answer or two; without a brake they had a hundred.
    assert guesses < 3 * GUESSERS
