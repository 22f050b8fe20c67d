"""The sandbox's judge: a small learned video question-answering model, and how it is trained and evaluated."""
