"""The pages of the main port: each module has those of one concern, as a blueprint."""
