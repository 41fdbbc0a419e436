"""Answers that leave something out: how it is lost, and what they say of it."""

from lenticular.services import Services
from tests.helpers import samples


def lose(services: Services, study: str, instance: int) -> None:
    """Take the file of an instance away."""
    uid = samples.sop_uid(study, 1, instance)
    (key,) = [key for key, _, _ in services.storage.keys("instances/") if f"/{uid}-" in key]
    services.storage.delete(key)


def warnings_of(answer) -> str:
    """All that the answer warns of, also on the way to it."""
    return " ".join(
        header for each in [*answer.history, answer] for header in each.headers.get_list("warning")
    )


def assert_partial(answer, *missing: str) -> None:
    """206 without an entity tag, with warnings that name what is missing."""
    assert answer.status_code == 206, answer.text[:300]
    assert "etag" not in answer.headers
    assert answer.headers["warning"].startswith("299 http")
    for each in missing:
        assert each in warnings_of(answer)


def study(label: str) -> str:
    """The path of a study."""
    return f"/studies/{samples.study_uid(label)}"
