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
    """A failure with a user-facing message. The command line prints it and exits."""

    exit_code = 1


class UsageError(PlatformError):
    """An invalid option or argument."""

    exit_code = 2


class NotRunningError(PlatformError):
    """No instance runs on the data directory."""


class InUseError(PlatformError):
    """A data directory or a port is in use by another process."""


class StartError(PlatformError):
    """A component did not start; the message names it and its log."""


class ManifestError(PlatformError):
    """A manifest that cannot be run; the message names the file and the field."""


class CliError(PlatformError):
    """A command failed; the message has the reason and the fix."""
