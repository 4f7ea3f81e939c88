"""Messages of the wire: the .proto files, and the modules that `make proto` makes of them."""
