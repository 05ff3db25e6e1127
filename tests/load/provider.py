"""A process that is a provider's model of the assistant, on the wires of Bedrock's Converse and of OpenAI's chat completions.

``python tests/load/provider.py FAULT SHARE`` prints its address. It answers as the rules do, in its own words where FAULT is
``paraphrase``, and makes FAULT in SHARE of the conversations' turns: ``none``, ``paraphrase``, ``invention``, ``arguments``,
``promise``, ``refusal``, ``cut``, ``slow`` or ``mixed`` (each of them in an equal part of SHARE). Which turns have it depends
on what was said alone, so that a call that is repeated is answered as before. As a judge it objects to nothing.
"""

import hashlib
import json
import re
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from service.core.run.dialogue.task import DialogueSoFar
from service.core.run.dialogue.turn import DialogueInputs, Spoken
from service.core.tasks.assistant.rules import rules
from service.core.unit.question import Said, ToolTurn, Use

SLOW_S = 2.5
FAULTS = ("paraphrase", "invention", "arguments", "promise", "refusal", "cut", "slow")
# How models word what the rules say: true, and in words that no approved wording has.
OWN_WORDS = (
    ("Here's what I can tell you.", "Sure, happy to help with that!"),
    ("Here's that information.", "Of course, here you go."),
    ("Let me help you with that.", "No problem at all."),
    ("I'd be happy to explain.", "Great question."),
    ("you need these documents:", "please have these ready:"),
    ("these are the steps:", "just follow this process:"),
    ("What else you need:", "On top of that, make sure you have:"),
    ("The nearest branch is", "Your closest one is"),
    ("Then there is", "Alternatively, try"),
    ("Who can have it:", "It's available to:"),
    ("Is there anything else I can help you with?", "Anything else on your mind?"),
    ("I'm happy to help with anything else.", "Just shout if you need more."),
    ("Our specialists are there now.", "The team is around at the moment."),
    ("I'm not sure I understood that.", "Hmm, that one went over my head."),
)
INVENTED = (
    "It costs £7.35 a month.",
    "Please bring your birth certificate as well.",
    "It usually takes 42 days.",
    "You can ring the branch on 020 7946 0999.",
)
PROMISED = (
    "You will definitely be accepted.",
    "I have opened the account for you.",
    "I've sent you a confirmation by email.",
    "A colleague will get back to you by tonight.",
)
REFUSED = "I'm sorry, but as a language model I am not able to assist with that request."
OTHERS = {
    "checking": "savings",
    "savings": "checking",
    "premium": "standard",
    "standard": "premium",
    "virtual": "premium",
}
_SPOKEN = re.compile(r"^(Customer|Assistant): ", re.MULTILINE)


def read_prompt(prompt):
    """Return the inputs that the pair's user message holds; a reply may have several lines."""
    history, message, session = (
        re.search(rf"<{tag}>(.*?)</{tag}>", prompt, re.DOTALL)[1].strip() for tag in ("history", "message", "session")
    )
    parts = _SPOKEN.split(history)[1:]
    return DialogueInputs(
        conversation_id="provider",
        message=message,
        history=tuple(
            Spoken(by=by.lower(), text=text.strip()) for by, text in zip(parts[::2], parts[1::2], strict=True)
        ),
        session=dict(line.split(": ", 1) for line in session.splitlines() if ": " in line),
    )


def judged(body):
    """Return what a judge that objects to nothing answers to ``body``; None where no judge is asked."""
    text = json.dumps(body["messages"])
    if "<conversation>" in text:
        return json.dumps({"evidence": [], "reasons": "Nothing is unkind or unclear.", "grade": "yes"})
    return None if "<session>" in text else "Yes"


def of_converse(body):
    """Return the conversation so far that a request in Converse's form tells."""
    first, *rest = body["messages"]
    turns, asked = [], None
    for message in rest:
        if message["role"] == "assistant":
            asked = [block["toolUse"] for block in message["content"] if "toolUse" in block]
            continue
        results = [block["toolResult"]["content"][0] for block in message["content"] if "toolResult" in block]
        if asked and results:
            texts = tuple(each["text"] if "text" in each else json.dumps(each["json"]) for each in results)
            uses = tuple(Use(tool=use["name"], arguments=use["input"], call_id=use["toolUseId"]) for use in asked)
            turns.append(ToolTurn(text="", uses=uses, contents=texts))
    text = next(block["text"] for block in first["content"] if "text" in block)
    return DialogueSoFar(inputs=read_prompt(text), turns=tuple(turns), may_use_tools=True)


def of_chat(body):
    """Return the conversation so far that a request in the form of chat completions tells."""
    said = [message for message in body["messages"] if message["role"] != "system"]
    turns = []
    for at, message in enumerate(said):
        calls = message.get("tool_calls") or ()
        if calls:
            results = {each["tool_call_id"]: each["content"] for each in said[at:] if each["role"] == "tool"}
            uses = tuple(
                Use(
                    tool=call["function"]["name"],
                    arguments=json.loads(call["function"]["arguments"]),
                    call_id=call["id"],
                )
                for call in calls
            )
            turns.append(ToolTurn(text="", uses=uses, contents=tuple(results[call["id"]] for call in calls)))
    first = said[0]["content"]
    text = first if isinstance(first, str) else "".join(part.get("text", "") for part in first)
    return DialogueSoFar(inputs=read_prompt(text), turns=tuple(turns), may_use_tools=True)


class Model:
    """The rules, with a fault in a share of the turns; ``count`` of each fault that was made."""

    def __init__(self, fault, share):
        self.faults = FAULTS[1:] if fault == "mixed" else (fault,)
        self.share = 0.0 if fault == "none" else share

    def fault_of(self, so_far):
        """Return the fault of this turn, "" for none: equal turns have equal faults."""
        said = "\n".join((*so_far.inputs.said, so_far.inputs.message))
        number = int(hashlib.sha256(said.encode()).hexdigest()[:12], 16)
        return self.faults[number // 10_000 % len(self.faults)] if number % 10_000 < self.share * 10_000 else ""

    def __call__(self, so_far):
        """Return what is said, and whether it is cut off."""
        fault, said = self.fault_of(so_far), rules(so_far)
        if fault == "slow":
            time.sleep(SLOW_S)
        if isinstance(said, Said):
            return (replace(said, uses=tuple(map(_wrong, said.uses))) if fault == "arguments" else said), False
        reply = json.loads(said)
        if fault == "paraphrase":
            for theirs, own in OWN_WORDS:
                reply["reply"] = reply["reply"].replace(theirs, own)
        elif fault == "invention":
            reply["reply"] += f" {_drawn(INVENTED, reply)}"
        elif fault == "promise":
            reply["reply"] += f" {_drawn(PROMISED, reply)}"
        elif fault == "refusal":
            reply = {"reply": REFUSED, "action": "answer", "asks": [], "handover": None, "claims": []}
        text = json.dumps(reply)
        return (text[: len(text) // 2], True) if fault == "cut" else (text, False)


def _drawn(texts, reply):
    return texts[len(reply["reply"]) % len(texts)]


def _wrong(use):
    """Return ``use`` with arguments that nobody asked for: another product, another place, two digits changed places."""
    arguments = {
        name: OTHERS.get(
            value, value[:-2] + value[:-3:-1] if name == "phone" else "London" if name == "location" else value
        )
        for name, value in use.arguments.items()
    }
    return replace(use, arguments=arguments)


def converse_answer(said, cut, cached):
    """Return the answer in Converse's form; of a prompt with a ``cached`` prefix most tokens were read from the cache."""
    if isinstance(said, Said):
        content = [
            {"toolUse": {"toolUseId": use.call_id, "name": use.tool, "input": dict(use.arguments)}} for use in said.uses
        ]
        reason = "tool_use"
    else:
        content, reason = [{"text": said}], "max_tokens" if cut else "end_turn"
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        "usage": {
            "inputTokens": 400 if cached else 3000,
            "outputTokens": 150,
            "totalTokens": 3150,
            **({"cacheReadInputTokens": 2600, "cacheWriteInputTokens": 0} if cached else {}),
        },
        "metrics": {"latencyMs": 1},
    }


def chat_answer(said, cut, model):
    """Return the answer in the form of chat completions."""
    message, reason = {"role": "assistant", "content": None}, "stop"
    if isinstance(said, Said):
        reason = "tool_calls"
        message["tool_calls"] = [
            {
                "id": use.call_id,
                "type": "function",
                "function": {"name": use.tool, "arguments": json.dumps(dict(use.arguments))},
            }
            for use in said.uses
        ]
    else:
        message["content"], reason = said, "length" if cut else "stop"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 3000, "completion_tokens": 150, "total_tokens": 3150},
    }


def server_of(model):
    """Return a server of ``model`` on both wires, at a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            chat, verdict = self.path.endswith("/chat/completions"), judged(body)
            if verdict is None:
                said, cut = model(of_chat(body) if chat else of_converse(body))
            else:
                said, cut = verdict, False
            answer = (
                chat_answer(said, cut, body["model"])
                if chat
                else converse_answer(said, cut, "cachePoint" in json.dumps(body))
            )
            payload = json.dumps(answer).encode()
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                return  # the caller gave up waiting

        def log_message(self, format, *args):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    provider = server_of(Model(sys.argv[1], float(sys.argv[2])))
    print(f"http://127.0.0.1:{provider.server_port}", flush=True)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    threading.Event().wait()
