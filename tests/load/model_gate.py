"""What the gate says of the assistant's pairs of models, asked over the real wires, while the model makes one fault.

``python tests/load/model_gate.py PAIRS FAULTS [SHARE] [eval's options]``, lists with commas: starts ``provider.py`` with each
fault in SHARE (0.25) of the turns, runs ``omni eval --task assistant``, and prints for each pair its verdict, how many checks
pass, which ones fail, how many conversations were right, and what a resolved one would have cost.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPENAI_ID = "openai/gpt-4.1-mini"


@contextmanager
def provider(fault, share):
    """Yield the address of a provider that makes ``fault``."""
    command = [sys.executable, Path(__file__).with_name("provider.py"), fault, str(share)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running.stdout.readline().strip()
        finally:
            running.kill()


def judged(pairs, address, options, state):
    """Return what an evaluation of ``pairs`` with the provider at ``address`` found, as ``--json`` prints it."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMNI_BEDROCK_ENDPOINT": address,
        "OMNI_MODEL_ENDPOINTS": json.dumps({OPENAI_ID: f"{address}/v1"}),
        "OPENAI_API_KEY": "none",  # pragma: allowlist secret
        "OMNI_STATE_DIR": state,
    }
    command = [sys.executable, "-m", "omni", "eval", "--task", "assistant", "--pairs", pairs, "--fresh", "--json"]
    ran = subprocess.run([*command, *options], env=environment, cwd=ROOT, text=True, capture_output=True)
    if ran.returncode not in (0, 1):
        raise SystemExit(ran.stderr[-2_000:])
    return json.loads(ran.stdout)


def row(fault, pair):
    """Return one line of the table."""
    failed, unsure = (
        [check["metric"] for check in pair["checks"] if check["verdict"] == verdict]
        for verdict in ("fail", "inconclusive")
    )
    right, cost = pair["metrics"]["conversation_right"]["value"], pair["metrics"]["cost_per_resolved"]["value"]
    passed = f"{len(pair['checks']) - len(failed) - len(unsure)} of {len(pair['checks'])} ({len(unsure)} unsure)"
    shown = ", ".join(dict.fromkeys(failed)) or "-"
    return f"| {fault} | {pair['pair_name']} | {pair['verdict']} | {passed} | {right:.2f} | {cost or 0:.4f} | {shown} |"


def main():
    pairs, faults, *options = sys.argv[1:]
    share = float(options.pop(0)) if options and not options[0].startswith("-") else 0.25
    print(
        "| fault | pair | verdict | checks passed | right | USD per resolved | failed |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as state:
        for fault in faults.split(","):
            with provider(fault, share) as address:
                for pair in judged(pairs, address, options, state)["pairs"]:
                    print(row(f"{fault} {share:.0%}" if fault != "none" else fault, pair), flush=True)


if __name__ == "__main__":
    main()
