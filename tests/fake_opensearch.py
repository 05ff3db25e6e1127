"""A stand-in for a vector collection of OpenSearch Serverless: what its documentation says of the requests that we send.

It checks signatures, takes only mapped fields, gives documents their ids itself, shows them late, and ranks by common words
and by dot products. ``break_with`` makes the next answers faulty.
"""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from service.kit.aws.clients import AwsKey

KEY = AwsKey("AKIDEXAMPLE", "secret", "session")
REGION = "eu-west-1"


class FakeOpenSearch:
    def __init__(self, url):
        self.url = url
        self.indexes = {}
        self.requests = []
        self.hidden_looks = 0  # how often a count still shows nothing
        self.break_with = []  # (status, body) of the next answers

    def answer(self, method, path, body):
        index, _, action = path.strip("/").partition("/")
        known = self.indexes.get(index)
        if method == "PUT" and not action:
            self.indexes[index] = {"definition": json.loads(body), "rows": []}
            return 200, {"acknowledged": True}
        if known is None:
            return 404, {"error": "index_not_found_exception"}
        if method == "DELETE":
            del self.indexes[index]
            return 200, {"acknowledged": True}
        if action == "_mapping":
            return 200, {index: {"mappings": known["definition"]["mappings"]}}
        if action == "_count":
            self.hidden_looks -= 1
            return 200, {"count": 0 if self.hidden_looks >= 0 else len(known["rows"])}
        lines = [json.loads(line) for line in body.decode().splitlines()]
        if action == "_bulk":
            return 200, {
                "errors": not all(self.take(known, *pair) for pair in zip(lines[::2], lines[1::2], strict=True))
            }
        assert action == "_msearch"
        return 200, {"responses": [self.ranked(known["rows"], query) for query in lines[1::2]]}

    def take(self, index, head, row):
        properties = index["definition"]["mappings"]["properties"]
        fits = head == {"index": {}} and row.keys() == properties.keys()
        if not (fits and len(row["vector"]) == properties["vector"]["dimension"]):
            return False
        index["rows"].append(row)
        return True

    def ranked(self, rows, asked):
        if "knn" in asked["query"]:
            near = asked["query"]["knn"]["vector"]
            filters, most = near.get("filter", {"bool": {"filter": []}})["bool"]["filter"], near["k"]

            def score(row):
                return sum(a * b for a, b in zip(row["vector"], near["vector"], strict=True))

        else:
            (match,), filters = asked["query"]["bool"]["must"], asked["query"]["bool"]["filter"]
            words, most = set(re.findall(r"\w+", match["multi_match"]["query"].lower())), asked["size"]

            def score(row):
                return len(words & set(re.findall(r"\w+", f"{row['title']} {row['text']}".lower())))

        labels = {one["term"]["labels"] for one in filters}
        kept = sorted((row for row in rows if labels <= set(row["labels"]) and score(row) > 0), key=score, reverse=True)
        shown = [
            {"_source": {name: row[name] for name in asked["_source"]}} for row in kept[: min(most, asked["size"])]
        ]
        return {"hits": {"hits": shown}}


def signed(handler, body):
    """Whether a request carries the signature that botocore gives the same request."""
    claimed = handler.headers.get("Authorization", "")
    names = re.search(r"SignedHeaders=([^,]+)", claimed)
    if not names or "x-amz-content-sha256" not in names[1] or f"/{REGION}/aoss/aws4_request" not in claimed:
        return False
    kept = {name: handler.headers[name] for name in names[1].split(";") if name != "host"}
    again = AWSRequest(handler.command, f"http://{handler.headers['Host']}{handler.path}", data=body, headers=kept)
    again.context["timestamp"] = handler.headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials(*KEY), "aoss", REGION)
    canonical = auth.canonical_request(again)
    return auth.signature(auth.string_to_sign(again, canonical), again) in claimed


@contextmanager
def fake_opensearch():
    class Handler(BaseHTTPRequestHandler):
        def do_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fake.requests.append((self.command, self.path))
            if fake.break_with:
                status, content = fake.break_with.pop(0)
            elif not signed(self, body):
                status, content = 403, b'{"message": "bad signature"}'
            else:
                status, value = fake.answer(self.command, self.path, body)
                content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_any  # noqa: N815

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = FakeOpenSearch(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
