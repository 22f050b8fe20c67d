"""Small faults that the tests must notice: `faults.yaml` lists them, `make mutants` makes them one by one."""
