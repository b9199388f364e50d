"""The frozen dataclasses that travel between the stages, and their vocabulary. Nothing of Uvatar is imported here."""
