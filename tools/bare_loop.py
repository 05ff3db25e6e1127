"""The benchmark's baseline, what anyone would write in ten minutes: Converse calls in a bare asyncio loop, three scores.

usage: python tools/bare_loop.py ENDPOINT CASES.jsonl OUT.json [CONCURRENCY]
"""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
from sacrebleu.metrics import BLEU


async def main(endpoint: str, cases: Path, out: Path, concurrency: int) -> None:
    rows = [json.loads(line) for line in cases.read_text().splitlines()]
    gate = asyncio.Semaphore(concurrency)
    bleu = BLEU(effective_order=True)

    async def one(session: aiohttp.ClientSession, row: dict) -> dict:
        text = "\n".join(item["text"] for item in row["inputs"]["interactions"]) or "nothing"
        body = {"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": {"maxTokens": 200}}
        async with gate, session.post(f"{endpoint}/model/local.echo-v1/converse", json=body) as response:
            answer = await response.json()
        output = answer["output"]["message"]["content"][0]["text"] if response.status == 200 else ""
        references = row["expectations"]["references"]
        return {
            "id": row["id"],
            "output": output,
            "exact": float(output in references),
            "length": len(output.split()),
            "bleu": bleu.sentence_score(output, references).score,
        }

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        results = await asyncio.gather(*(one(session, row) for row in rows))
    out.write_text(json.dumps(results))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 20))
