"""Public API for programs that use Kandle. `kandle.client` reads its history API."""
