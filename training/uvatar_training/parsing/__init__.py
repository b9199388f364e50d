"""Training data of the parser: crops of people with their classes, and the frozen trunk's features of them."""
