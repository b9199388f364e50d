"""The form of a person's head, from the landmarks of the face."""
