"""Public API for programs that use Kandle; `kandle.client` is the client."""
