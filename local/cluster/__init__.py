"""What a cluster says of itself and of Kandle in it, by kubectl."""
