"""The least that a gateway can do, for `omni bench service`: one FastAPI route that forwards a prompt to the model's stand-in.

No store, token, history, guard, record or log: a request comes in, one Converse call with the same prompt as any other goes out,
and its text is the answer.

usage: python tests/load/bare_gateway.py MODEL_URL MODEL_ID PORT < PROMPT
"""

import sys
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Question(BaseModel):
    account_number: str
    contact_id: str


def make_app(model_url, model_id, prompt):
    @asynccontextmanager
    async def lifespan(app):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            app.state.session = session
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def ready():
        return {"status": "ready"}

    @app.post("/omni-channel-insights")
    async def summarize(question: Question):
        text = f"{prompt}\nCustomer {question.account_number}."
        body = {"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": {"maxTokens": 400}}
        async with app.state.session.post(f"{model_url}/model/{model_id}/converse", json=body) as response:
            answer = await response.json()
        return {"summary": answer["output"]["message"]["content"][0]["text"], "degraded": False}

    return app


if __name__ == "__main__":
    uvicorn.run(
        make_app(sys.argv[1], sys.argv[2], sys.stdin.read()), port=int(sys.argv[3]), log_config=None, access_log=False
    )
