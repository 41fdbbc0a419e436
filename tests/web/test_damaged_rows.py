"""Rows of the index that are damaged, or that an earlier release wrote: the file is read again."""

import io

import orjson
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from sqlalchemy import select, update

from lenticular.dicom.model import Target
from lenticular.index.sql.schema import documents, instances
from lenticular.services import Services
from tests.helpers import samples, wire
from tests.helpers.http.retrieve import get
from tests.helpers.omissions import assert_partial, lose, study

pytestmark = pytest.mark.not_on_stack("reaches into the services")

JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'


def row_id_of(services: Services, label: str, instance: int) -> int:
    wanted = select(instances.c.row_id).where(
        instances.c.sop_instance_uid == samples.sop_uid(label, 1, instance)
    )
    with services.index.database.connect() as connection:
        return connection.execute(wanted).scalar_one()


def change_row(services: Services, label: str, instance: int = 1, **values: bytes) -> None:
    """Write other bytes into the row of an instance's document."""
    here = documents.c.instance_row_id == row_id_of(services, label, instance)
    with services.index.database.transaction() as connection:
        connection.execute(update(documents).where(here).values(values))


@pytest.mark.parametrize("damage", [b"", b"damaged", b"x\x01\x00"])
def test_metadata_comes_from_the_file_where_its_row_is_damaged(client, services, damage):
    wire.must_store(client, *samples.ct_series("row", 3))
    before = get(client, study("row") + "/metadata", JSON).json()
    change_row(services, "row", 2, body=damage)
    answer = get(client, study("row") + "/metadata", JSON)
    assert answer.status_code == 200
    assert answer.json() == before
    assert client.get(f"/instances/{orthanc_id(client, 'row', 2)}/simplified-tags").json()


def orthanc_id(client, label: str, instance: int) -> str:
    asked = {"Level": "Instance", "Query": {"SOPInstanceUID": samples.sop_uid(label, 1, instance)}}
    (found,) = client.post("/tools/find", json=asked).json()
    return str(found)


@pytest.mark.parametrize("accept", [JSON, XML])
def test_metadata_comes_without_an_instance_whose_row_and_file_are_lost(client, services, accept):
    wire.must_store(client, *samples.ct_series("both", 3))
    change_row(services, "both", 2, body=b"damaged")
    lose(services, "both", 2)
    answer = get(client, study("both") + "/metadata", accept)
    assert_partial(answer, samples.sop_uid("both", 1, 2), "restore the file")
    assert answer.content.count(b"00080018") == 2


@pytest.mark.parametrize("place", [study("none"), samples.path("none")])
def test_when_no_metadata_can_be_had_a_sentence_says_what_to_do(client, services, place):
    wire.must_store(client, samples.ct("none"))
    change_row(services, "none", body=b"damaged")
    lose(services, "none", 1)
    wire.assert_error(get(client, place + "/metadata", JSON), 500, "restore the file")


def test_a_search_for_all_attributes_answers_the_others_beside_a_damaged_row(client, services):
    wire.must_store(client, *samples.ct_series("search", 2))
    change_row(services, "search", 2, body=b"damaged")
    found = wire.search(client, study("search") + "/instances", includefield="all")
    assert {wire.value(match, "00080018") for match in found} == {
        samples.sop_uid("search", 1, 1),
        samples.sop_uid("search", 1, 2),
    }


@pytest.mark.parametrize("damage", [b"", b"damaged", b"[1]", b"[{}, [1]]"])
def test_frames_come_from_the_file_where_the_row_of_their_places_is_damaged(
    client, services, damage
):
    wire.must_store(client, samples.ct("layout"))
    frame, picture = (samples.path("layout") + tail for tail in ("/frames/1", "/rendered"))
    places = {frame: "application/octet-stream", picture: "image/png"}
    before = [get(client, *place).content for place in places.items()]
    change_row(services, "layout", layout=damage)
    after = [get(client, *place) for place in places.items()]
    assert [answer.status_code for answer in after] == [200, 200]
    assert [answer.content for answer in after] == before


def divided_rle(label: str) -> tuple[bytes, list[bytes]]:
    """Two RLE frames in two fragments each, and their bytes."""
    lone = pydicom.dcmread(io.BytesIO(samples.run_length(label)))
    frames = list(generate_frames(lone.PixelData, number_of_frames=1)) * 2
    lone.NumberOfFrames = 2
    lone.PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=False)
    return samples.encode(lone, lone.file_meta.TransferSyntaxUID), frames


def test_frames_of_rle_are_whole_though_an_earlier_release_took_fragments_for_frames(
    client, services
):
    content, frames = divided_rle("divided")
    wire.must_store(client, content)
    take_fragments_for_frames(services, "divided")
    for number, frame in enumerate(frames, 1):
        answer = get(client, samples.path("divided") + f"/frames/{number}", "image/dicom-rle")
        assert answer.content == frame
        assert get(client, samples.path("divided") + f"/frames/{number}/rendered").is_success


def take_fragments_for_frames(services: Services, label: str) -> None:
    """Write the layout as it was before: the first fragments are the frames."""
    here = documents.c.instance_row_id == row_id_of(services, label, 1)
    with services.index.database.connect() as connection:
        layout = connection.execute(select(documents.c.layout).where(here)).scalar_one()
    bulkdata, pixels = orjson.loads(layout)
    start, length = pixels[-1][:2]
    (row,) = services.index.retrieval.find(Target(samples.study_uid(label)))
    half = int.from_bytes(services.storage.read(row.key, start + 4, 4), "little") + 8
    assert half < length
    pixels[-1] = [start, half, start + half, length - half]
    change_row(services, label, layout=orjson.dumps([bulkdata, pixels]))
