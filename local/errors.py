"""Errors that people can act on: one clear line, no traceback.

```
PlatformError                 exit code 1
├── UsageError                exit code 2: a wrong option or argument
├── NotRunningError           nothing runs on this data directory
├── InUseError                a data directory or a port is taken
├── StartError                a part of the platform did not start
├── ManifestError             a YAML file of the topology is wrong (names file and field)
└── CliError                  a command cannot go on
```
"""

from __future__ import annotations


class PlatformError(Exception):
    """A failure with a message for people. The command line prints it and exits."""

    exit_code = 1


class UsageError(PlatformError):
    """An option or argument that cannot be used as it was given."""

    exit_code = 2


class NotRunningError(PlatformError):
    """No instance runs on the data directory that was asked for."""


class InUseError(PlatformError):
    """A data directory or a port is taken by another process."""


class StartError(PlatformError):
    """A part of the platform did not start; the message says which and where its log is."""


class ManifestError(PlatformError):
    """A manifest that cannot be run; the message names the file and the field."""


class CliError(PlatformError):
    """A command cannot go on; the message says why and what to do about it."""
