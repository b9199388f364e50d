# SPDX-License-Identifier: GPL-3.0-or-later
"""Panel and messages in the language of Blender's interface."""

from __future__ import annotations

import bpy

from ..core.translation import LANGUAGES, catalogue, language_of, translated

# Blender's names of the languages; releases differ in whether they add the country.
_LOCALES = {
    "de": ("de", "de_DE"),
    "es": ("es", "es_ES"),
    "fr": ("fr", "fr_FR"),
    "ja": ("ja", "ja_JP"),
    "zh": ("zh_HANS", "zh_CN"),  # simplified; traditional Chinese stays English
}
_CONTEXTS = ("*", "Operator")  # texts in general, and names of operators


def tr(text: str) -> str:
    """Translate a text with names or numbers in it; Blender itself looks up whole texts only."""
    if not bpy.context.preferences.view.use_translate_interface:
        return text
    return translated(text, language_of(bpy.app.translations.locale))


def register() -> None:
    """Give Blender the translations of labels and tooltips, which it looks up by itself."""
    texts = {
        locale: {(context, english): own for english, own in catalogue(language).whole.items() for context in _CONTEXTS}
        for language in LANGUAGES
        for locale in _LOCALES[language]
    }
    bpy.app.translations.register(__name__, texts)


def unregister() -> None:
    """Take the translations back."""
    bpy.app.translations.unregister(__name__)
