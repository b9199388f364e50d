"""Parsers: what each pixel of a person shows, by networks and plug-ins."""
