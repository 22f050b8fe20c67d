"""What differs between the model families, one small adapter each; `load_family` picks by the folder's own index."""
