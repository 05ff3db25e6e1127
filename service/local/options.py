"""The command line of the Bedrock stand-in."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.local.engines import Latency, parse_latency
from service.local.faults import FaultRule, parse_rule_text
from service.local.scripted_model import Script, load_script

if TYPE_CHECKING:
    from service.local.digest_model import Skip

# Measured on two shared cores (2026-11, 8 prompts of 700 to 3,000 tokens with a common start, 90 tokens out each, one
# run per setting; a repeat differed by up to 24%): 2, 4 and 6 slots took 65, 67 and 69 s, no real difference, but the median
# answer came after 21, 35 and 58 s, and each slot takes 190 MB. Reading prompts takes nearly all the time and uses both cores.
DEFAULT_SLOTS = 2
DEFAULT_THREADS = 1
DEFAULT_BATCH_THREADS = 2


_NO_DELAY = Latency()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """The parsed command line. Latencies are in milliseconds; an empty `models` serves every id of a known provider."""

    port: int
    models: frozenset[str]
    slots: int
    threads: int
    batch_threads: int
    seed: int
    preload: bool
    die_with_stdin: bool
    log: Path | None
    echo_latency: Latency
    echo_words: int
    echo_models: frozenset[str]
    faults: tuple[FaultRule, ...]
    script: Script | None = None
    digest_models: frozenset[str] = frozenset()
    digest_skips: "tuple[Skip, ...]" = ()
    digest_latency: Latency = _NO_DELAY


def parse_arguments(arguments: Sequence[str]) -> ServerOptions:
    """Parse the command line; argparse ends the process with code 2 on an error."""
    parser = _parser()
    values = parser.parse_args(arguments)
    try:
        return _options(values)
    except ValueError as err:
        parser.error(str(err))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service.local.bedrock", description="A Bedrock Converse stand-in on loopback."
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    parser.add_argument(
        "--models", default="", help="comma-separated ids to serve; default: ids of all known providers"
    )
    parser.add_argument("--slots", type=int, default=DEFAULT_SLOTS, help="parallel answers (default %(default)s)")
    parser.add_argument(
        "--threads", type=int, default=DEFAULT_THREADS, help="CPU threads that generate (default %(default)s)"
    )
    parser.add_argument(
        "--batch-threads", type=int, default=DEFAULT_BATCH_THREADS, help="CPU threads for prompts (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of sampling, echo delays and fault draws (default 0)")
    parser.add_argument("--preload", action="store_true", help="load the model at start instead of at the first call")
    parser.add_argument("--die-with-stdin", action="store_true", help="exit when standard input ends")
    parser.add_argument("--log", type=Path, help="file for the log; default: standard error")
    parser.add_argument("--echo-latency", default="0", metavar="MS|lognormal:p50=MS,p95=MS", help="delay of the echo")
    parser.add_argument("--echo-latency-ms", dest="echo_latency", metavar="MS", help="the same, in milliseconds")
    parser.add_argument("--echo-words", type=int, default=40, help="longest echo in words (default 40)")
    parser.add_argument(
        "--echo-models", default="", help="comma-separated ids that the echo answers too, for load tests"
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="kind=throttle,model=*,rate=0.1", help="a fault"
    )
    parser.add_argument("--script", type=Path, help="answers of local.scripted-v1, see service/local/scripted_model.py")
    parser.add_argument(
        "--digest-models", default="", help="comma-separated ids answered by a digest of the history in the prompt"
    )
    parser.add_argument(
        "--digest-skips",
        action="append",
        default=[],
        metavar="CHANNEL=RULE",
        help="the digest leaves out this channel unless the system message contains the rule",
    )
    parser.add_argument(
        "--digest-latency", default="0", metavar="MS|lognormal:p50=MS,p95=MS", help="delay of the digest"
    )
    return parser


def _options(values: argparse.Namespace) -> ServerOptions:
    return ServerOptions(
        port=values.port,
        models=_ids(values.models),
        slots=values.slots,
        threads=values.threads,
        batch_threads=values.batch_threads,
        seed=values.seed,
        preload=values.preload,
        die_with_stdin=values.die_with_stdin,
        log=values.log,
        echo_latency=parse_latency(values.echo_latency),
        echo_words=values.echo_words,
        echo_models=_ids(values.echo_models),
        faults=tuple(parse_rule_text(text) for text in values.fault),
        script=load_script(values.script) if values.script else None,
        digest_models=_ids(values.digest_models),
        digest_skips=_skips(values.digest_skips),
        digest_latency=parse_latency(values.digest_latency),
    )


def _ids(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _skips(texts: Sequence[str]) -> "tuple[Skip, ...]":
    if not texts:
        return ()
    # Imported here, because a missing package must not hide the command's own error message.
    from service.local.digest_model import parse_skip

    return tuple(parse_skip(text) for text in texts)
