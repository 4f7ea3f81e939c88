"""The lake: Iceberg tables of ticks and candles in object storage, and their maintenance.

`tables` defines the tables and their files, and `catalog` commits to them; `maintenance` copies
from Postgres, compacts, and ends what is past its term; `recovery`, `states` and `takeover` bring
data back; `reading` plans and reads.

Imports `stores` and what that imports, and `realtime` for the state's keys.
"""
