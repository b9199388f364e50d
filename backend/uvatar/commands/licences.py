"""The licences of what is installed with Uvatar: weights, packages, and the libraries in their wheels."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from uvatar.commands.weights_report import shipped

UNKNOWN = "unknown"
# Extras for developers, whose packages users do not get, and packages that can replace another.
_NOT_FOR_USERS = ("dev",)
_STAND_INS = {"onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml")}
_GPL_WITH_EXCEPTION = "GPL-3.0-or-later WITH GCC-exception-3.1"
_LICENCE_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST_NAME = 60  # characters; a longer "License" field is the licence's text
_NVIDIA = "LicenseRef-NVIDIA-Proprietary"
# Licences that are missing in the packages' metadata, but are stated in the texts beside it.
_UNSAID = {"embreex": "BSD-2-Clause", "cuda-toolkit": _NVIDIA, "smplx": "LicenseRef-SMPL-X, not for commercial use"}

# Libraries in wheels: the beginning of the file name, the library's name, and its licence, according to the wheels'
# licence folders and the projects' sources.
_LIBRARIES = (
    ("libx26[45]", "x264 or x265", "GPL-2.0-or-later"),
    ("libde265", "libde265", "LGPL-3.0-or-later"),
    ("libheif", "libheif", "LGPL-3.0-or-later"),
    ("(lib)?(avcodec|avformat|avutil|swscale|swresample)|opencv_videoio_ffmpeg", "FFmpeg", "LGPL-2.1-or-later"),
    ("lib(aom|dav1d)", "AV1 codecs", "BSD-2-Clause"),
    ("libavif", "libavif (with libaom, dav1d and libyuv)", "BSD-2-Clause"),
    ("libvpx", "libvpx", "BSD-3-Clause"),
    (r"lib(crypto|ssl)\S*\.so\.1\.1|lib(crypto|ssl)[-.]1[._]1", "OpenSSL 1.1", "OpenSSL"),
    ("lib(crypto|ssl)", "OpenSSL", "Apache-2.0"),
    ("lib(gfortran|gcc_s|stdc|gomp|atomic|winpthread)", "GCC's runtime", _GPL_WITH_EXCEPTION),
    ("libquadmath", "GCC's libquadmath", "LGPL-2.1-or-later"),
    ("lib(scipy_)?openblas", "OpenBLAS", "BSD-3-Clause"),
    ("libpng", "libpng", "libpng-2.0"),
    ("lib(Xau|xcb)", "X11", "MIT"),
    ("libbrotli", "Brotli", "MIT"),
    ("libfreetype", "FreeType", "FTL"),
    ("libharfbuzz", "HarfBuzz", "MIT"),
    ("libjpeg", "libjpeg-turbo", "IJG AND BSD-3-Clause"),
    ("(lib)?(nvjpeg|cu[a-z]+|nv[a-zA-Z]+|nccl)", "NVIDIA's CUDA libraries", _NVIDIA),
    ("liblcms2", "Little CMS", "MIT"),
    ("liblzma", "XZ Utils", "0BSD"),
    ("libopenjp2", "OpenJPEG", "BSD-2-Clause"),
    ("lib(sharpyuv|webp)", "libwebp", "BSD-3-Clause"),
    ("libtiff", "LibTIFF", "libtiff"),
    ("libzstd", "Zstandard", "BSD-3-Clause"),
    ("libz[.-]|zlib", "zlib", "Zlib"),
    ("libsodium", "libsodium", "ISC"),
    ("libzmq", "libzmq", "MPL-2.0"),
    ("(lib)?embree", "Embree", "Apache-2.0"),
    ("(lib)?tbb", "oneTBB", "Apache-2.0"),
    ("(lib)?(iomp5|omp)", "LLVM's OpenMP", "Apache-2.0 WITH LLVM-exception"),
    ("directml", "DirectML", "LicenseRef-Microsoft-DirectML"),
    (r"viewer\.js$", "three.js (in the page that shows avatars)", "MIT"),
    ("msvcp|vcruntime|concrt", "Microsoft's C++ runtime", "LicenseRef-Microsoft-VC-Runtime"),
)
_LIBRARY_FILE = re.compile(r"\.(dll|dylib|js)$|\.so(\.\d+)*$", re.IGNORECASE)
_EXTENSION_MODULE = re.compile(r"\.(cpython|abi3|cp\d+)[^/]*\.(so|dylib)$")
_FOLDER_OF_LIBRARIES = re.compile(r"\.(libs|dylibs)$")


@dataclass(frozen=True)
class Licensed:
    """An installed component.

    Attributes:
        kind: "weights", "package" or "library".
        name: of the file, the package or the library.
        licence: an SPDX expression if known, otherwise the name that its authors use.
        version: of a package; empty otherwise.
        origin: for a package, "base" or the extra of ``uvatar`` that requires it; for a library, the package that
            contains it; empty for weights.
        files: of a library; for a package, its files with licences and notices.
    """

    kind: str
    name: str
    licence: str
    version: str = ""
    origin: str = ""
    files: tuple[str, ...] = ()

    @property
    def is_gpl(self) -> bool:
        """Whether it is under the GPL or the AGPL without an exception for programs that use it."""
        return any(
            re.search(r"(?<!L)(A?GPL|GNU (Affero )?General Public)", choice) is not None
            and not re.search(r"WITH \S+-exception|Lesser", choice)
            for choice in re.split(r" AND ", self.licence)
            if " OR " not in choice
        )


def parts(weights: Path) -> list[Licensed]:
    """All components: the files in the folder ``weights``, the packages that Uvatar needs here, and their libraries.

    Raises:
        metadata.PackageNotFoundError: Uvatar itself is not installed as a package.
    """
    found = [Licensed("weights", item.name, item.licence) for item in shipped(weights)]
    for distribution, origin in packages():
        found.append(package(distribution, origin))
        found.extend(libraries(distribution))
    return found


def packages(
    root: str = "uvatar", find: Callable[[str], metadata.Distribution] = metadata.distribution
) -> list[tuple[metadata.Distribution, str]]:
    """The installed distributions that ``root`` needs, each with "base" or the extra that requires it, sorted by name.

    Raises:
        metadata.PackageNotFoundError: ``root`` is not installed.
    """
    extras = find(root).metadata.get_all("Provides-Extra") or []
    seen: dict[str, tuple[metadata.Distribution, str]] = {}
    for origin in ("", *sorted(extra for extra in extras if extra not in _NOT_FOR_USERS)):
        waiting = deque([(root, origin)])
        done: set[tuple[str, str]] = set()
        while waiting:
            name, extra = waiting.popleft()
            distribution = _installed(name, find)
            if distribution is None or (name, extra) in done:
                continue
            done.add((name, extra))
            seen.setdefault(name, (distribution, origin or "base"))
            waiting.extend(_needed(distribution, extra))
    return [seen[name] for name in sorted(seen)]


def _installed(name: str, find: Callable[[str], metadata.Distribution]) -> metadata.Distribution | None:
    for candidate in (name, *_STAND_INS.get(name, ())):
        try:
            return find(candidate)
        except metadata.PackageNotFoundError:
            continue
    return None


def _needed(distribution: metadata.Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Yield name and extra of the requirements of a distribution, or of one of its extras, on this system."""
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            name = canonicalize_name(requirement.name)
            yield from ((name, wanted) for wanted in ("", *sorted(requirement.extras)))


def package(distribution: metadata.Distribution, origin: str) -> Licensed:
    """The component for a distribution, with the licence that its metadata states."""
    said = distribution.metadata
    files = [str(path) for path in distribution.files or () if _is_licence_text(path)]
    return Licensed("package", said["Name"], _licence(said), said["Version"], origin, tuple(files))


def _licence(said: metadata.PackageMetadata) -> str:
    """The licence in a package's metadata; classifiers are preferred to free text, which may be about the source."""
    classifiers = [
        line.removeprefix(_LICENCE_CLASSIFIER)
        for line in said.get_all("Classifier") or []
        if line.startswith(_LICENCE_CLASSIFIER)
    ]
    free, expression = ((said.get_all(key) or [""])[0] for key in ("License", "License-Expression"))
    short = free if len(free) <= _LONGEST_NAME and "\n" not in free and free.lower() != UNKNOWN else ""
    unsaid = _UNSAID.get(canonicalize_name(said["Name"]), UNKNOWN)
    return expression or " AND ".join(classifiers) or short or unsaid


def _is_licence_text(path: PurePath) -> bool:
    return re.match(r"(licen[cs]e|copying|notice|third.?party)", path.name, re.IGNORECASE) is not None


def libraries(distribution: metadata.Distribution) -> list[Licensed]:
    """The third-party libraries in a distribution's wheel, with their licences if known."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in distribution.files or ():
        known = _known(path)
        if known is not None:
            found.setdefault(known, []).append(str(path))
    origin = distribution.metadata["Name"]
    return [
        Licensed("library", name, licence, origin=origin, files=tuple(files))
        for (name, licence), files in sorted(found.items())
    ]


def _known(path: PurePath) -> tuple[str, str] | None:
    """Name and licence of the library in a file; None if it is not a library, or belongs to the package itself."""
    if not _LIBRARY_FILE.search(path.name) or _EXTENSION_MODULE.search(path.name):
        return None
    for pattern, name, licence in _LIBRARIES:
        if re.match(pattern, path.name, re.IGNORECASE):
            return name, licence
    return (path.name, UNKNOWN) if any(_FOLDER_OF_LIBRARIES.search(part) for part in path.parts[:-1]) else None


def gpl(found: Iterable[Licensed]) -> list[Licensed]:
    """The components of ``found`` that are under the GPL and would be loaded into Uvatar's process.

    Blender as a module is under the GPL, too, but it is installed only with the extra ``uvatar[blender]`` and runs in a
    separate process.
    """
    apart = {part.name for part in found if part.kind == "package" and part.origin == "blender"}
    return [part for part in found if part.is_gpl and part.name not in apart and part.origin not in apart]
