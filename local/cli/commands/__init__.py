"""The commands of `kandle`, a module each."""
