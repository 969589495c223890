"""Writes fixtures with their provenance: script, versions and sha256 in fixtures/PROVENANCE.json."""

import gzip
import hashlib
import json
import pathlib
import platform
from importlib.metadata import version

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"


def write_json(path, value):
    """Writes `value` to fixtures/`path`, gzipped (without a time stamp) where the name ends in .gz."""
    target = FIXTURES / path
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, separators=(",", ":")).encode()
    target.write_bytes(gzip.compress(text, mtime=0) if target.suffix == ".gz" else text + b"\n")


def record(script, folders, packages):
    """Notes who made every file under `folders` of fixtures/ in PROVENANCE.json."""
    listing = FIXTURES / "PROVENANCE.json"
    entries = json.loads(listing.read_text()) if listing.exists() else {}
    entries = {path: entry for path, entry in entries.items() if entry["script"] != script}
    versions = {"python": platform.python_version()} | {name: version(name) for name in packages}
    for folder in folders:
        root = FIXTURES / folder
        for path in [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file()):
            entries[str(path.relative_to(FIXTURES))] = {
                "script": script,
                "versions": versions,
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
    listing.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n")
