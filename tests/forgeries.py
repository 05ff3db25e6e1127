"""What a stranger can write where an envelope belongs, by name: functions of a genuine envelope's text."""

import json


def _with(text, **changes):
    return json.dumps({**json.loads(text), **changes})


def signed(text, **changes):
    envelope = json.loads(text)
    envelope["signatures"][0] |= changes
    return json.dumps(envelope)


def _second(text):
    envelope = json.loads(text)
    envelope["signatures"].append({"keyid": "somebody", "sig": ""})
    return json.dumps(envelope, sort_keys=True, separators=(",", ":"))


RUBBISH = {
    "payload type is a number": lambda text: _with(text, payloadType=5),
    "payload type is half a character": lambda text: _with(text, payloadType="\ud800"),
    "payload type of something else": lambda text: _with(text, payloadType="application/json"),
    "key id is a number": lambda text: signed(text, keyid=5),
    "key id is nothing": lambda text: signed(text, keyid=None),
    "no signature": lambda text: _with(text, signatures=[]),
    "signatures are a word": lambda text: _with(text, signatures="none"),
    "empty signature": lambda text: signed(text, sig=""),
    "nested without end": lambda text: "[" * 90_000,
    "a number of 9,000 digits": lambda text: "9" * 9_000,
    "not an object": lambda text: "null",
    "empty": lambda text: "",
}
# Each of these carries our genuine signature over the genuine payload. One release must have one form and one digest, or the
# ledger holds two different releases of one number that are both ours.
VARIANTS = {
    "a second signature": _second,
    "something beside the signature": lambda text: signed(text, note="x"),
    "a value without canonical form": lambda text: signed(text, note=float("nan")),
    "a field twice": lambda text: '{"payloadType":"application/json",' + text[1:],
    "spaces": lambda text: json.dumps(json.loads(text), indent=1),
    "a field more": lambda text: _with(text, note="x"),
}
