"""Generate the protobuf modules beside their .proto files; `--check` compares."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

SCHEMA = Path(__file__).parent
ROOT = SCHEMA.parent.parent


def generate(into: Path) -> list[Path]:
    """Compile every schema; return the files made, relative to `into`."""
    from grpc_tools import protoc

    sources = sorted(str(path.relative_to(ROOT)) for path in SCHEMA.glob("*.proto"))
    arguments = ["protoc", f"-I{ROOT}", f"--python_out={into}", f"--pyi_out={into}", *sources]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed: see its message above")
    return sorted(path.relative_to(into) for path in into.rglob("*_pb2.py*"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    if not parser.parse_args().check:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as directory:
        generated = Path(directory)
        stale = [
            str(path)
            for path in generate(generated)
            if not (ROOT / path).exists()
            or (ROOT / path).read_bytes() != (generated / path).read_bytes()
        ]
    if stale:
        sys.exit(f"out of step with their .proto, run `make proto`: {', '.join(stale)}")


if __name__ == "__main__":
    main()
