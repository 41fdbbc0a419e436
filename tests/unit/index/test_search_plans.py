"""How SQLite runs our searches: along indexes, nothing sorted but what was found."""

import pytest
from sqlalchemy import event

from lenticular.dicom.instance import Level, Target
from lenticular.index import Index, query
from lenticular.index.answers import Recipe
from lenticular.transactions.search import parse_query
from tests import samples
from tests.indexes import new

FROM_ABOVE = Target("1.2")


@pytest.fixture
def index(tmp_path):
    opened = Index(f"sqlite:///{tmp_path / 'index.sqlite'}")
    opened.migrate()
    opened.add([new("s", series, n) for series in (1, 2) for n in (1, 2)])
    yield opened
    opened.close()


def plan(index, level, target, parameters):
    """The steps by which SQLite finds the page, and those that fetch what is answered."""
    asked, _ = parse_query(level, target, parameters)
    statement = query._statement(asked, Recipe.of(level, set(), frozenset(), False))
    engine = index._database.engine
    compiled = statement.compile(engine, compile_kwargs={"render_postcompile": True})
    values = tuple(compiled.params[name] for name in compiled.positiontup)
    with index._database.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled.string}", values)
        steps = [row[3] for row in rows]
    assert steps[0] == "MATERIALIZE page"
    fetch = steps.index("SCAN page")
    return steps[1:fetch], steps[fetch + 1 :]


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize(
    ("level", "target", "keys", "start", "in_order"),
    [
        (Level.STUDY, None, {}, "SCAN studies USING COVERING INDEX", True),
        (Level.STUDY, None, {"offset": "500"}, "SCAN studies USING COVERING INDEX", True),
        (Level.STUDY, None, {"StudyDate": "2024.01.01-"}, "SEARCH studies USING COVERING", True),
        (Level.STUDY, None, {"ModalitiesInStudy": "CT"}, "SCAN studies USING INDEX", True),
        (Level.STUDY, None, {"PatientID": "x"}, "SEARCH studies USING INDEX", False),
        (Level.STUDY, None, {"AccessionNumber": "x*"}, "SEARCH studies USING INDEX", False),
        (Level.STUDY, None, {"PatientName": "x*"}, "MULTI-INDEX OR", False),
        (Level.SERIES, FROM_ABOVE, {}, "SEARCH studies USING INDEX", True),
        (Level.SERIES, None, {}, "SCAN studies USING COVERING INDEX", True),
        (Level.INSTANCE, FROM_ABOVE, {}, "SEARCH studies USING INDEX", True),
        (Level.INSTANCE, None, {}, "SCAN studies USING COVERING INDEX", True),
        (Level.INSTANCE, None, {"SOPInstanceUID": "1.2"}, "SEARCH instances USING INDEX", False),
        (Level.INSTANCE, None, {"PatientID": "x"}, "SEARCH studies USING INDEX", False),
    ],
)
def test_a_page_is_found_along_an_index(index, level, target, keys, start, in_order, analysed):
    if analysed:  # the statistics of a small database mislead many a planner
        with index._database.connect() as connection:
            connection.exec_driver_sql("ANALYZE")

    finding, fetching = plan(index, level, target, list(keys.items()))

    assert finding[0].startswith(start)
    assert not any(step.startswith("SCAN") for step in finding[1:])
    assert ("USE TEMP B-TREE FOR ORDER BY" not in finding) is in_order
    assert not any(step.startswith("SCAN") for step in fetching)


def test_a_search_takes_one_statement(index):
    executed = []
    event.listen(
        index._database.engine,
        "before_cursor_execute",
        lambda connection, cursor, statement, *rest: executed.append(statement),
    )

    for level in (Level.STUDY, Level.SERIES, Level.INSTANCE):
        executed.clear()
        asked, _ = parse_query(level, None, [("PatientName", "doe*"), ("includefield", "all")])
        assert index.search(asked).matches
        assert len(executed) == 1


def test_searches_go_on_while_another_writes(index):
    asked, _ = parse_query(Level.INSTANCE, None, [])
    with index._database.transaction():
        assert len(index.search(asked).matches) == 4
    assert samples.study_uid("s") == index.search(asked).matches[0].target.study_instance_uid
