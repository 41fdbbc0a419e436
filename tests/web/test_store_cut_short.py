"""STOW-RS of a body that is cut short, PS3.18 10.5.3."""

from lenticular.transactions.store.batch import BATCH_INSTANCES
from tests.helpers import samples, wire


def cut(count: int) -> tuple[bytes, str]:
    """A multipart body of so many instances without its closing delimiter, and its type."""
    parts = [
        b"--xx\r\nContent-Type: application/dicom\r\n\r\n" + samples.ct("cut", instance=n) + b"\r\n"
        for n in range(1, count + 1)
    ]
    return b"".join(parts) + b"--xx", 'multipart/related; type="application/dicom"; boundary=xx'


def test_a_short_body_that_is_cut_stores_nothing(client):
    body, media_type = cut(3)
    answer = client.post(
        wire.DICOMWEB + "/studies", content=body, headers={"Content-Type": media_type}
    )
    assert answer.status_code == 400
    assert client.get(wire.DICOMWEB + "/instances").json() == []


def test_a_long_body_that_is_cut_accounts_for_what_is_stored_already(client):
    count = BATCH_INSTANCES + 2
    body, media_type = cut(count)
    answer = client.post(
        wire.DICOMWEB + "/studies", content=body, headers={"Content-Type": media_type}
    )
    assert answer.status_code == 202
    stored = answer.json()["00081199"]["Value"]
    assert len(answer.json()["0008119A"]["Value"]) == 1
    assert len(client.get(wire.DICOMWEB + "/instances").json()) == len(stored) >= BATCH_INSTANCES
