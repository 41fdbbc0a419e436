"""dicomtrolley, an outside client, against the real server: search, download, both caches."""

from datetime import datetime

import numpy as np
import pydicom
import pytest
from dicomtrolley.caching import CachedSearcher, DICOMObjectCache
from dicomtrolley.core import (
    InstanceReference,
    Query,
    QueryLevels,
    SeriesReference,
    StudyReference,
)
from dicomtrolley.exceptions import DICOMTrolleyError
from dicomtrolley.qido_rs import HierarchicalQuery, QidoRS, RelationalQuery
from dicomtrolley.storage import FlatStorageDir
from dicomtrolley.trolley import Trolley
from dicomtrolley.wado_rs import WadoRS, WadoRSMetaData
from dicomtrolley.wado_uri import WadoURI

from tests.helpers import samples, wire
from tests.helpers.server_process import Server

LABEL = "trolley"
STUDY = samples.study_uid(LABEL)


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    """The server, with a study of two series of three and two instances."""
    with server.client() as client:
        files = samples.ct_series(LABEL, 3) + samples.ct_series(LABEL, 2, series=2)
        wire.must_store(client, *files)
    return server.url


@pytest.fixture
def searcher(server, address) -> QidoRS:
    return QidoRS(server.session(), f"{address}/dicom-web")


@pytest.fixture
def downloader(server, address) -> WadoRS:
    return WadoRS(server.session(), f"{address}/dicom-web/")


def uids(datasets) -> set[str]:
    return {str(dataset.SOPInstanceUID) for dataset in datasets}


ALL = {
    samples.sop_uid(LABEL, series, instance)
    for series, count in ((1, 3), (2, 2))
    for instance in range(1, count + 1)
}


def shape(study) -> list[int]:
    """How many instances each series of a study has, as far as they were asked for."""
    return sorted(len(series.instances) for series in study.series)


@pytest.mark.parametrize(
    "criteria",
    [
        {"StudyInstanceUID": STUDY},
        {"PatientID": f"P{LABEL}"},
        {"AccessionNumber": f"A{LABEL}", "PatientName": "doe*", "ModalitiesInStudy": "CT"},
        {
            "PatientID": f"P{LABEL}",
            "min_study_date": datetime(2024, 1, 1),
            "max_study_date": datetime(2024, 12, 31),
            "include_fields": ["PatientBirthDate", "StudyDescription"],
        },
    ],
)
def test_a_study_is_found_by_every_criterion(searcher, criteria):
    for query in (Query(**criteria), HierarchicalQuery(**criteria, limit=5)):
        (study,) = searcher.find_studies(query)
        assert study.uid == STUDY
        assert study.data.PatientName == "Doe^Jane"
        assert study.data.StudyDescription == "Head plain"
    assert searcher.find_study(Query(**criteria)).uid == STUDY


def test_what_is_not_there_is_not_found(searcher):
    assert searcher.find_studies(Query(PatientID="nobody")) == []
    past = {"min_study_date": datetime(1999, 1, 1), "max_study_date": datetime(1999, 1, 2)}
    assert searcher.find_studies(Query(StudyInstanceUID=STUDY, **past)) == []


def test_every_level_is_searched_within_the_hierarchy(searcher):
    series = samples.series_uid(LABEL)
    below = HierarchicalQuery(StudyInstanceUID=STUDY, query_level=QueryLevels.SERIES)
    (study,) = searcher.find_studies(below)
    assert shape(study) == [0, 0]
    below = HierarchicalQuery(
        StudyInstanceUID=STUDY, SeriesInstanceUID=series, query_level=QueryLevels.INSTANCE
    )
    (study,) = searcher.find_studies(below)
    assert shape(study) == [3]


def test_every_level_is_searched_across_the_hierarchy(searcher):
    patient = {"PatientID": f"P{LABEL}", "limit": 100}
    for level, study_uid, expected in (
        (QueryLevels.SERIES, "", [0, 0]),
        (QueryLevels.INSTANCE, STUDY, [2, 3]),
        (QueryLevels.INSTANCE, "", [2, 3]),
    ):
        query = RelationalQuery(query_level=level, StudyInstanceUID=study_uid, **patient)
        (study,) = searcher.find_studies(query)
        assert shape(study) == expected
    page = RelationalQuery(query_level=QueryLevels.INSTANCE, StudyInstanceUID=STUDY, limit=2)
    (first,) = searcher.find_studies(page)
    (second,) = searcher.find_studies(page.model_copy(update={"offset": 2}))
    assert sum(shape(first)) == sum(shape(second)) == 2
    assert shape(searcher.find_study_by_id(STUDY, QueryLevels.INSTANCE)) == [2, 3]


@pytest.mark.parametrize("per_series", [True, False])
def test_studies_series_and_instances_are_downloaded(server, address, per_series):
    downloader = WadoRS(
        server.session(), f"{address}/dicom-web", 1000, request_per_series=per_series
    )
    series = SeriesReference(study_uid=STUDY, series_uid=samples.series_uid(LABEL))
    instance = InstanceReference(
        study_uid=STUDY,
        series_uid=samples.series_uid(LABEL),
        instance_uid=samples.sop_uid(LABEL),
    )
    assert len(uids(downloader.datasets(series))) == 3
    (found,) = downloader.datasets([instance])
    original = pydicom.dcmread(pydicom.filebase.DicomBytesIO(samples.ct(LABEL)))
    assert found == original
    assert np.array_equal(found.pixel_array, original.pixel_array)
    if not per_series:
        assert uids(downloader.datasets(StudyReference(study_uid=STUDY))) == ALL


def test_metadata_is_downloaded_at_every_level(server, address):
    downloader = WadoRSMetaData(server.session(), f"{address}/dicom-web")
    names = {
        "study_uid": STUDY,
        "series_uid": samples.series_uid(LABEL, 2),
        "instance_uid": samples.sop_uid(LABEL, 2),
    }
    for reference, count in (
        (StudyReference(study_uid=STUDY), 5),
        (SeriesReference(study_uid=STUDY, series_uid=names["series_uid"]), 2),
        (InstanceReference(**names), 1),
    ):
        found = list(downloader.datasets(reference))
        assert len(uids(found)) == count
        assert {str(dataset.PatientName) for dataset in found} == {"Doe^Jane"}


@pytest.mark.parametrize("at_once", [False, True])
def test_instances_are_downloaded_by_uri(server, address, at_once):
    options = {"use_async": at_once, "max_workers": 4}
    downloader = WadoURI(server.session(), f"{address}/wado", **options)
    references = [
        InstanceReference(
            study_uid=STUDY,
            series_uid=samples.series_uid(LABEL, series),
            instance_uid=samples.sop_uid(LABEL, series),
        )
        for series in (1, 2)
    ]
    found = list(downloader.datasets(references))
    assert uids(found) == {samples.sop_uid(LABEL), samples.sop_uid(LABEL, 2)}
    assert all(dataset.pixel_array.shape == (16, 16) for dataset in found)


def test_a_trolley_finds_and_saves(server, address, searcher, tmp_path):
    """It asks for the series or instances itself that a downloader wants to know."""
    session = server.session()
    for number, downloader in enumerate(
        [WadoRS(session, f"{address}/dicom-web"), WadoURI(session, f"{address}/wado")]
    ):
        folder = tmp_path / str(number)
        trolley = Trolley(downloader, searcher, FlatStorageDir(str(folder)))
        study = trolley.find_study(Query(StudyInstanceUID=STUDY))
        trolley.download(study, str(folder))
        saved = [pydicom.dcmread(path) for path in folder.rglob("*") if path.is_file()]
        assert uids(saved) == ALL


def test_a_cached_searcher_gives_what_was_found(searcher):
    cached = CachedSearcher(searcher, DICOMObjectCache())
    query = Query(StudyInstanceUID=STUDY)
    (first,), (again,) = cached.find_studies(query), cached.find_studies(query)
    assert first.uid == again.uid == STUDY
    whole = cached.find_study_by_id(STUDY, QueryLevels.INSTANCE)
    assert shape(whole) == shape(cached.find_study_by_id(STUDY, QueryLevels.INSTANCE)) == [2, 3]


def test_what_is_not_there_cannot_be_downloaded(downloader):
    reference = SeriesReference(study_uid=STUDY, series_uid="2.25.1")
    with pytest.raises(DICOMTrolleyError, match="404"):
        list(downloader.datasets(reference))
