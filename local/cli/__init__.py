"""The command line `kandle`; each command is a module of `commands`."""
