"""What every implementation of a role must do, as functions: put your own through them, in your own tests too.

Each file stands alone (only `rushes`, numpy and the standard library), so a plug-in's author may copy it. A function
returns when all is well and raises `AssertionError` with what was expected and what was got.
"""
