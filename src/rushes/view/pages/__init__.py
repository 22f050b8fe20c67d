"""The pages of the studio, one module each: `routes(studio)` and, for a page of a run, its `TAB`."""
