"""The memory of a long-lived process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest


@pytest.mark.processes
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc can be told")
def test_freed_memory_is_reused_and_modules_are_frozen() -> None:
    """Freed memory is used again without page faults, and loaded modules leave the collector."""
    program = """
import gc, resource
import numpy as np
from shared.runtime.memory import settle

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

settle()
assert gc.get_freeze_count() > 1_000
columns = [np.ones(1 << 17) for _ in range(32)]
del columns
before = faults()
columns = [np.ones(1 << 17) for _ in range(32)]
print(faults() - before)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 32 * (1 << 20) // 4096 // 10


@pytest.mark.processes
def test_talib_and_arrow_load_no_dataframes() -> None:
    """TA-Lib, Arrow and an exchange's calendar load neither pandas nor Polars."""
    program = """
import sys
import numpy as np
from shared.runtime.memory import leave_dataframes_out

leave_dataframes_out()
import pyarrow as pa
import talib

talib.SMA(np.arange(40.0), 3)
pa.array(np.array(["a", None], dtype=object))
from shared.market.trading_days import ExchangeDays

assert ExchangeDays("XNYS").unit_us > 0
assert not {"pandas", "polars"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
