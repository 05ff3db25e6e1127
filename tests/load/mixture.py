"""Whether each answer is wholly of one release: body, headers, the text itself, the log's line and the stored record."""

from dataclasses import replace

from service.answers_kept.items import to_record

# Opens the second pair's prompt; the stand-in echoes the prompt, so an answer shows which prompt it was made with.
MARK = "Please read this."


def second_pair(pair):
    """The pair with a version, a digest and a prompt of its own."""
    last = pair.messages[-1]
    messages = (*pair.messages[:-1], replace(last, content=f"{MARK}\n{last.content}"))
    return replace(pair, version="2.0.0", messages=messages)


def stored_records(rig):
    """Every stored record by request id, as DynamoDB holds it."""
    dynamodb = rig.stores_client("dynamodb")
    found = {}
    for page in dynamodb.get_paginator("scan").paginate(TableName=rig.settings.summaries.table):
        for item in page["Items"]:
            record = to_record(item)
            found[record.request_id] = record
    dynamodb.close()
    return found


def mixtures(records, log, stored, pairs):
    """Return {pair's version: answers} and what is wrong, a sentence per answer.

    ``pairs`` maps (prompt version, digest, registry version) to whether the pair's prompt has the mark.
    """
    logged = {row["request_id"]: row for row in log if row.get("event") == "REQUEST_COMPLETED"}
    by_version, wrong = {}, []
    for row in (row for row in records if row.get("status") == 200):
        name, request_id = tuple(row["pair"]), row["request_id"]
        by_version[name[0]] = by_version.get(name[0], 0) + 1
        record, line = stored.get(request_id), logged.get(request_id)
        problems = {
            "its body names no release": name not in pairs,
            "its headers speak of another answer": not row["headers_agree"],
            "its text is of the other prompt": not row["degraded"]
            and row["summary"].startswith(MARK) != pairs.get(name),
            "its log line names another version": line is None or line["registry_version"] != name[2],
            "it is not stored": record is None,
            "its stored record is of another release": record is not None
            and (record.prompt_version, record.pair_digest, record.registry_version, record.summary)
            != (*name, row["summary"]),
        }
        wrong += [f"{request_id}: {problem}" for problem, found in problems.items() if found][:1]
    return by_version, wrong
