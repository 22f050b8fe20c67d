"""A third party's package, installed and used as its author would: proof that Rushes can be extended from outside."""
