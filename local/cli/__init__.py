"""The command line `kandle`: one module a command."""
