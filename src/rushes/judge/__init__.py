"""Judge: clips and their prompts' questions -> answers -> scores, and how far the judge can be believed."""
