# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's own translations: files of `languages`, from English texts to those of a language.

A text may have places for names and numbers, written {}; a translation has as many, or numbered ones ({0}, {1}) where
their order changes. So sentences that were put together, by whichever layer, are recognised when they are shown.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "languages"
LANGUAGES = ("de", "es", "fr", "ja", "zh")
WIDE = ("ja", "zh")  # languages whose letters are as wide as two, without spaces between words and sentences
_TRADITIONAL = ("zh_HANT", "zh_TW")  # Blender's names of traditional Chinese; `languages` has simplified Chinese
_SENTENCE = re.compile(r"(?<=[.!?…]) (?=[A-Z])")


@dataclass(frozen=True)
class Catalogue:
    """The texts of a language.

    Attributes:
        whole: English text -> translation, of texts without places.
        patterns: (expression, template) of texts with places, the most specific first.
    """

    whole: dict[str, str]
    patterns: tuple[tuple[re.Pattern[str], str], ...]


def language_of(locale: str) -> str:
    """Return the language of `LANGUAGES` for a locale such as "de_DE"; "" if there is none."""
    if locale in _TRADITIONAL:
        return ""
    language = re.split(r"[_@-]", locale)[0].lower()
    return language if language in LANGUAGES else ""


@cache
def catalogue(language: str) -> Catalogue:
    """Read the texts of a language of `LANGUAGES`.

    Raises:
        OSError: the file is missing.
    """
    texts: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    whole = {english: own for english, own in texts.items() if "{}" not in english}
    places = sorted((english for english in texts if "{}" in english), key=lambda text: -len(text.replace("{}", "")))
    return Catalogue(whole, tuple((_expression(english), texts[english]) for english in places))


def _expression(english: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in english.split("{}")), re.DOTALL)


def _listed(part: str, texts: Catalogue, comma: str) -> str:
    """Translate what stands in a place of a text, or the words of a list there, where they are known."""
    if part in texts.whole:
        return texts.whole[part]
    words = part.split(", ")
    return comma.join(texts.whole.get(word, word) for word in words) if texts.whole.keys() & set(words) else part


@lru_cache(maxsize=2048)
def translated(text: str, language: str) -> str:
    """Translate a text that may have names and numbers in it, sentence by sentence; what is not known stays English.

    Args:
        text: in English.
        language: one of `LANGUAGES`; "" leaves the text as it is.
    """
    if not language or not text:
        return text
    texts = catalogue(language)
    if text in texts.whole:
        return texts.whole[text]
    for expression, template in texts.patterns:
        found = expression.fullmatch(text)
        if found:
            comma = "、" if language in WIDE else ", "
            return template.format(*(_listed(part, texts, comma) for part in found.groups()))
    sentences = _SENTENCE.split(text)
    if len(sentences) == 1:
        return text
    return ("" if language in WIDE else " ").join(translated(sentence, language) for sentence in sentences)
