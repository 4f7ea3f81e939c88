"""What is asked of the stores: a module for each kind of answer."""
