"""The table of answers: what becomes of a record when there is no such table yet, and which table a record goes into."""

from datetime import timedelta

import loadable
import pytest
from botocore.exceptions import ClientError

from service.answers_kept.answer_table import AnswerTable, RecordTables
from service.answers_kept.writer import answer_spool, answer_writer
from service.kit.aws.bounded import RecordRefused
from service.kit.frame.errors import StoreError


class Refusing:
    """A client whose table answers every put with an error."""

    def __init__(self, code):
        self.code = code

    def put_item(self, **_):
        raise ClientError({"Error": {"Code": self.code}}, "PutItem")


class Taking:
    def __init__(self):
        self.taken = []

    def put(self, record):
        self.taken.append(record.request_id)
        return "written"


def table(code):
    return AnswerTable(Refusing(code), "omni-answers", ttl=timedelta(days=7))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ResourceNotFoundException", RecordRefused),
        ("AccessDeniedException", RecordRefused),
        ("InternalServerError", StoreError),
    ],
)
def test_a_missing_table_refuses_and_a_broken_one_fails(code, error):
    with pytest.raises(StoreError, match=code) as caught:
        table(code).put(loadable.answer())
    assert type(caught.value) is error


def test_an_answer_that_is_there_is_not_written_again():
    assert table("ConditionalCheckFailedException").put(loadable.answer()) == "already"


def test_without_the_table_of_answers_summaries_are_written_all_the_same(tmp_path):
    summaries, archive = Taking(), Taking()
    writer = answer_writer(
        RecordTables(summaries, table("ResourceNotFoundException")), archive, answer_spool(tmp_path, max_bytes=10**6)
    )
    writer.keep(loadable.answer(1))
    writer.keep(loadable.summary(2))
    writer.close()
    assert summaries.taken == ["req-000002"]
    assert sorted(archive.taken) == ["req-000000000001", "req-000002"]
    assert [path.name.endswith("req-000000000001.json") for path in (tmp_path / "aside").iterdir()] == [True]
    assert writer.snapshot()["refused"] == 1
