"""What programs that use Kandle import. `kandle.client` reads its history API."""
