"""Packs the code of the functions in AWS Lambda: ``python tools/functions.py FOLDER`` writes ``functions-<digest>.zip`` there.

The archive holds the package ``service`` and the locked packages that its functions import, as wheels for Lambda's Python. Equal
content gives an equal archive, so its name says whether anything has changed.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "service.txt"
PYTHON, PLATFORM = "3.14", "x86_64-manylinux_2_28"  # of infra/cdk/stacks/functions.py
MOST_MB = 250  # Lambda's limit, unpacked
# What the functions import of the lock; all of it would be too large for Lambda. A test imports them with these alone.
PACKAGES = frozenset(
    {
        *("annotated-types", "anyio", "boto3", "botocore", "certifi", "h11", "httpcore2", "httpx2", "idna", "jmespath"),
        *("prometheus-client", "pydantic", "pydantic-core", "pydantic-settings", "python-dateutil", "python-dotenv"),
        *("pyyaml", "s3transfer", "six", "sniffio", "structlog", "truststore", "typing-extensions"),
        *("typing-inspection", "urllib3"),
    }
)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def locked() -> dict[str, str]:
    """Return the lock's entries, with their hashes, by the package's name."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", LOCK.read_text(encoding="utf-8")):
        if begins := re.match(r"([a-z0-9][\w.-]*)==", entry):
            found[begins[1]] = entry.rstrip()
    return found


def install(folder: Path) -> None:
    """Put the packages into ``folder``."""
    entries = locked()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as chosen:
        chosen.write("\n".join(entries[name] for name in sorted(PACKAGES & entries.keys())))
        chosen.flush()
        options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(folder)]
        options += ["--python-version", PYTHON, "--python-platform", PLATFORM]
        subprocess.run([sys.executable, "-m", "uv", "pip", "install", *options, "-r", chosen.name], check=True)


def pack(installed: Path, out: Path) -> Path:
    """Write the archive of ``installed`` and our own package into ``out``, and return its path."""
    files = {path.relative_to(installed): path for path in installed.rglob("*") if path.is_file()}
    files |= {path.relative_to(ROOT): path for path in (ROOT / "service").rglob("*") if path.is_file()}
    kept = {name: path for name, path in files.items() if "__pycache__" not in name.parts and name.parts[0] != "bin"}
    size_mb = sum(path.stat().st_size for path in kept.values()) // 1_000_000
    if size_mb > MOST_MB:
        raise SystemExit(f"{size_mb} MB are more than the {MOST_MB} MB that Lambda takes")
    digest = hashlib.sha256()
    for name in sorted(kept):
        digest.update(f"{name}\0".encode() + hashlib.sha256(kept[name].read_bytes()).digest())
    archive = out / f"functions-{digest.hexdigest()[:16]}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(kept):
            entry = zipfile.ZipInfo(str(name), _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(entry, kept[name].read_bytes())
    return archive


def main() -> None:
    """Write the archive and print its path."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python tools/functions.py FOLDER")
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        sys.stdout.write(f"{pack(Path(folder), out)}\n")


if __name__ == "__main__":
    main()
