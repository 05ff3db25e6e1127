"""DynamoDB and S3 in memory, as far as the service uses them under load: `make load` then measures the service.

ministack, the local AWS of everything else, does one thing at a time: 500 requests at once wait for it and not for us.
This one keeps items in dictionaries and answers each call after ``--delay-ms``, all of them side by side, as DynamoDB does.
What it does not know it refuses by name; a fault of its own shows in its exit code.
"""

import argparse
import asyncio
import bisect
import json
import re
import signal
import sys

from aiohttp import web

from service.answers_kept.items import BY_ACCOUNT
from service.answers_kept.items import PARTITION_KEY as PROCESS
from service.interactions.items import PARTITION_KEY as ACCOUNT
from service.interactions.items import SORT_KEY
from service.kit.aws.stores import SUMMARIES
from service.kit.settings import StoreSettings, SummarySettings

OUTBOX, SHARED = SummarySettings().outbox_table, StoreSettings().shared_table
KMS_JSON = "application/x-amz-json-1.1"
JSON = "application/x-amz-json-1.0"
_INDEX = next(index for index in SUMMARIES.indexes if index.name == BY_ACCOUNT)
# What the index holds of an item, as in DynamoDB: whole items would cost the service time that it does not spend there.
_INDEXED = {PROCESS, *(_INDEX.attributes or ()), _INDEX.partition, _INDEX.sort}


class SharedTable:
    """The table that all tasks share: whole texts with versions. Counts are taken and not added up."""

    def __init__(self):
        self.items = {}

    def call(self, operation, body):
        """Return status and body of one operation."""
        if operation == "Query":
            names = re.findall(r":\w+", body["KeyConditionExpression"])
            partition, *sort = (body["ExpressionAttributeValues"][name]["S"] for name in names)
            keys = [
                key for key in sorted(self.items)
                if key[0] == partition and (not sort or sort[0] <= key[1] <= sort[-1])
            ]  # fmt: skip
            return 200, {"Items": [self.items[key] for key in keys], "Count": len(keys)}
        if operation == "GetItem":
            found = self.items.get(self._key(body["Key"]))
            return 200, {} if found is None else {"Item": found}
        if operation == "PutItem":
            self.items[self._key(body["Item"])] = body["Item"]
        elif operation == "TransactWriteItems":
            every = [write for each in body["TransactItems"] for write in each.items()]
            writes = [(kind, write) for kind, write in every if write["TableName"] == SHARED]
            if any(self._is_lost(write) for _, write in writes):
                reasons = [{"Code": "ConditionalCheckFailed"}]
                return 400, {
                    "__type": "x#TransactionCanceledException",
                    "CancellationReasons": reasons,
                    "message": "lost",
                }
            for kind, write in writes:
                self._write(kind, write)
        return 200, {}

    def _is_lost(self, write):
        condition = write.get("ConditionExpression", "")
        found = self.items.get(self._key(write.get("Key") or write["Item"]))
        if "attribute_not_exists" in condition:
            return found is not None
        version = None if found is None else found.get("version")
        return bool(condition) and version != write["ExpressionAttributeValues"][condition.rpartition(" ")[2]]

    def _write(self, kind, write):
        key = self._key(write.get("Key") or write["Item"])
        if kind == "Put":
            self.items[key] = write["Item"]
            return
        if kind == "Delete":
            self.items.pop(key, None)
            return
        item = self.items.setdefault(key, {**write["Key"], "version": {"N": "0"}})
        item["version"] = {"N": str(int(item["version"]["N"]) + 1)}
        if write["ExpressionAttributeNames"]["#0"] == "text":
            item["text"] = write["ExpressionAttributeValues"][":0"]

    @staticmethod
    def _key(item):
        return item["pk"]["S"], item["sk"]["S"]


class Stores:
    """All tables and buckets of one run."""

    def __init__(self, delay_s):
        self.delay_s = delay_s
        self.histories, self.summaries, self.by_account, self.objects = {}, {}, {}, set()
        self.outbox, self.shared = {}, SharedTable()
        self.faults = 0

    async def handle(self, request):
        """Answer one call."""
        try:
            return await self._handled(request)
        except Exception:
            self.faults += 1
            raise  # aiohttp answers 500 and prints it

    async def _handled(self, request):
        body = await request.read()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        target = request.headers.get("X-Amz-Target", "")
        if target.startswith("DynamoDB"):
            status, answer = self.dynamodb(target.rpartition(".")[2], json.loads(body))
            return web.Response(status=status, body=json.dumps(answer).encode(), content_type=JSON)
        if target.startswith("TrentService"):  # KMS: seals nothing here
            given = json.loads(body)
            content = given.get("Plaintext") or given.get("CiphertextBlob")
            return web.json_response({"CiphertextBlob": content, "Plaintext": content}, content_type=KMS_JSON)
        if request.method == "PUT":
            if "If-None-Match" in request.headers and request.path in self.objects:
                return web.Response(status=412, text="<Error><Code>PreconditionFailed</Code></Error>")
            self.objects.add(request.path)
            return web.Response(headers={"ETag": '"0"'})
        return web.Response(status=400, text="<Error><Code>NotImplemented</Code></Error>")

    def dynamodb(self, operation, body):
        """Return status and body of one operation."""
        if operation in {"PutItem", "BatchWriteItem", "UpdateItem", "Scan"} and OUTBOX in str(body)[:200]:
            return 200, self._outbox(operation, body)
        if operation == "TransactWriteItems" or body.get("TableName") == SHARED:
            return self.shared.call(operation, body)
        if operation == "BatchWriteItem":
            for requests in body["RequestItems"].values():
                for item in (request["PutRequest"]["Item"] for request in requests):
                    rows = self.histories.setdefault(item[ACCOUNT]["S"], [])
                    bisect.insort(rows, (item[SORT_KEY]["S"], json.dumps(item)))
            return 200, {"UnprocessedItems": {}}
        if operation == "Query" and "FilterExpression" not in body:
            return 200, self._query(body)
        if operation == "PutItem" and PROCESS in body["Item"] and "account_number" in body["Item"]:
            return self._put(body["Item"])
        if operation in {"Query", "Scan"}:  # of a table in which nothing is kept here, such as the desk's queue
            return 200, {"Items": [], "Count": 0}
        if operation in {"GetItem", "PutItem", "UpdateItem", "DeleteItem"}:
            return 200, {}
        return 400, {
            "__type": "com.amazon.coral.validate#ValidationException",
            "message": f"not kept here: {operation}",
        }

    def _outbox(self, operation, body):
        if operation == "PutItem":
            self.outbox[body["Item"]["request_id"]["S"]] = body["Item"]
        elif operation == "BatchWriteItem":
            for request in body["RequestItems"][OUTBOX]:
                self.outbox.pop(request["DeleteRequest"]["Key"]["request_id"]["S"], None)
        elif operation == "Scan":  # a run has one service, so nothing is ever left behind
            return {"Items": [], "Count": 0}
        return {}

    def _query(self, body):
        values = {name: value["S"] for name, value in body["ExpressionAttributeValues"].items()}
        if body.get("IndexName") == BY_ACCOUNT:
            rows = self.by_account.get(values[":account"], [])
            items = [item for item in reversed(rows[-body["Limit"] :]) if item["generated_at"]["S"] >= values[":since"]]
            return {"Items": items, "Count": len(items)}
        if ":account" not in values:  # of a table in which nothing is kept here, such as the desk's queue
            return {"Items": [], "Count": 0}
        rows = self.histories.get(values[":account"], [])
        first = bisect.bisect_left(rows, (values[":oldest"],))
        last = bisect.bisect_right(rows, (values[":newest"],))
        found = rows[first:last][::-1][: body["Limit"]]
        answer = {"Items": [json.loads(item) for _, item in found], "ConsumedCapacity": {"CapacityUnits": 0.5}}
        if len(found) < last - first:
            answer["LastEvaluatedKey"] = {ACCOUNT: {"S": values[":account"]}, SORT_KEY: {"S": found[-1][0]}}
        return answer

    def _put(self, item):
        key = item[PROCESS]["S"]
        if key in self.summaries:
            kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
            return 400, {"__type": kind, "message": "exists", "Item": self.summaries[key]}
        self.summaries[key] = item
        indexed = {name: value for name, value in item.items() if name in _INDEXED}
        self.by_account.setdefault(item["account_number"]["S"], []).append(indexed)
        return 200, {}


async def serve(port, delay_s):
    """Serve until a signal; return how many calls met a fault of this program."""
    app, stores = web.Application(client_max_size=64 * 2**20), Stores(delay_s)
    app.router.add_route("*", "/{tail:.*}", stores.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    print("ready", flush=True)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await stop.wait()
    await runner.cleanup()
    return stores.faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-ms", type=float, default=5.0)
    options = parser.parse_args()
    sys.exit(1 if asyncio.run(serve(options.port, options.delay_ms / 1000)) else 0)
