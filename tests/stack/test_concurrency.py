"""Sixteen execution environments at once store into one study, through API Gateway."""

from concurrent.futures import ThreadPoolExecutor

from tests.helpers import samples
from tests.helpers.aws.deployed_stack import multipart

AT_ONCE = 16
SERIES = 4
EACH = 3
TRIES = 3


def body(study: str, number: int) -> tuple[bytes, str]:
    """Instances that only this request brings, and one that all bring."""
    own = [samples.ct(study, number % SERIES, f"{number}.{instance}") for instance in range(EACH)]
    return multipart([*own, samples.ct(study, 0, "of all")])


def wake(stack, threads: ThreadPoolExecutor) -> None:
    """Start sixteen environments, two at a time: all at once may take longer than a call may."""

    def ask(_: int) -> int:
        return stack.request("POST", "/dicom-web/studies", data=b"?").status_code

    for at_once in range(2, AT_ONCE + 1, 2):
        for _ in range(TRIES):
            if all(status < 500 for status in threads.map(ask, range(at_once))):
                break


def test_sixteen_at_once_store_into_one_study_and_are_counted_exactly(stack, study):
    def send(number: int) -> str:
        content, media_type = body(study, number)
        headers = {"Content-Type": media_type}
        answer = stack.request("POST", "/dicom-web/studies", data=content, headers=headers)
        return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:300]}"

    with ThreadPoolExecutor(AT_ONCE) as threads:
        wake(stack, threads)
        complaints = [complaint for complaint in threads.map(send, range(AT_ONCE)) if complaint]
        assert not complaints

    wanted = {"StudyInstanceUID": samples.study_uid(study), "includefield": "all"}
    (found,) = stack.request("GET", "/dicom-web/studies", params=wanted).json()
    assert found["00201206"]["Value"] == [SERIES]
    assert found["00201208"]["Value"] == [AT_ONCE * EACH + 1]
    url = f"/dicom-web/studies/{samples.study_uid(study)}"
    counts = [item["00201209"]["Value"][0] for item in stack.request("GET", f"{url}/series").json()]
    assert sum(counts) == AT_ONCE * EACH + 1
    assert len(stack.request("GET", f"{url}/metadata").json()) == AT_ONCE * EACH + 1
