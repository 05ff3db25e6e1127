"""Characters that Python, but not JSON Lines, takes for line ends do not break the files that hold models' answers."""

import json

from eval.backfill.journal import BackfillJournal, chunk_path, rows_of
from eval.backfill.work import WorkItem
from eval.run.reply_cache import ReplyCache
from service.core.llm.model_call import ModelReply, Usage

TEXT = "one\u2028two\u2029three\x85four"
KEY = "a" * 64


def test_the_reply_cache_finds_such_an_answer_again(tmp_path):
    usage = Usage(input_tokens=1, output_tokens=2)
    reply = ModelReply(text=TEXT, usage=usage, stop_reason="end", latency_ms=1.0, answered_by="m")
    cache = ReplyCache(tmp_path)
    cache.put(KEY, reply, "run-1")
    cache.close()
    again = ReplyCache(tmp_path)
    assert again.get(KEY).reply == reply
    again.close()


def test_a_backfill_takes_up_a_chunk_with_such_an_answer(tmp_path):
    row = {"id": "r1", "output": TEXT, "failure": None, "cost_usd": "0.5"}
    chunk_path(tmp_path, 0).write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert BackfillJournal.open(tmp_path, [WorkItem(id="r1", inputs={})], 1).done == 1
    assert [json.loads(line) for line in rows_of(tmp_path)] == [row]
