"""Language models, on an OpenAI-compatible server or on this machine, behind one Protocol and one cost cap.

Prompt writers, judges and measurers ask them; they know nothing of prompts, clips or scores.
"""
