"""`python -m benchmarks [NAME ...]`: run the benchmarks, all or those that are named.

A benchmark is a module of this package with a function `run()`, which prints a table.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType

import benchmarks


def find() -> dict[str, ModuleType]:
    """Every module here that has `run`, by name."""
    names = sorted(each.name for each in pkgutil.iter_modules(benchmarks.__path__))
    modules = {
        name: importlib.import_module(f"benchmarks.{name}") for name in names if name[0] != "_"
    }
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def main(names: list[str]) -> int:
    """Run what is named; 2 when there is no such benchmark."""
    found = find()
    unknown = [name for name in names if name not in found]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there is: {', '.join(found)}", file=sys.stderr)
        return 2
    for name in names or list(found):
        print(f"== {name}: {(found[name].__doc__ or '').splitlines()[0]}", flush=True)
        found[name].run()
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
