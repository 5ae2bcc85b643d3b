"""How the core sees the content of Docker repositories: by the paths of the registry API."""

from repoman.plugin import ContentRules, Coordinate, SearchField, SearchTarget, beginning_with
from repoman_docker.layout import BLOB, IMAGE, MANIFEST, SUBJECT, TAG, owner_path

ROOT = "/v2/"
_RESOURCES = ("blobs", "manifests", "referrers", "tags")


def asset_path(kind: str, path: str) -> str:
    """Return the path at which clients ask for an asset; empty: they ask for none of this kind."""
    _, _, rest = path.partition("/")
    if kind in (MANIFEST, TAG):
        name, _, reference = rest.rpartition("/")
        return f"{ROOT}{name}/manifests/{reference}"
    if kind == BLOB:
        digest, _, name = rest.partition("/")
        return f"{ROOT}{name}/blobs/{digest}"
    return ""


def component_path(coordinate: Coordinate) -> str:
    """Return the path of a tag's manifest, or of the list of an image's tags."""
    if coordinate.kind == IMAGE:
        return f"{ROOT}{coordinate.name}/tags/list"
    return f"{ROOT}{coordinate.name}/manifests/{coordinate.version}"


def name_of(path: str) -> str:
    """Return the image name in such a path."""
    return "/".join(path.removeprefix(ROOT).split("/")[:-2])


def owner_of(kind: str, name: str, version: str) -> str:
    """Return the stored path of the manifest to which a tag belongs by its name."""
    return owner_path(name, version) if kind == TAG else ""


def names_below(beginning: str) -> tuple[str, str]:
    """Return the range of the image names whose paths may begin so."""
    if ROOT.startswith(beginning):
        return beginning_with("")
    parts = beginning.removeprefix(ROOT).split("/")
    for index, part in enumerate(parts[1:], 1):
        is_cut = index == len(parts) - 1
        if any(each == part or (is_cut and each.startswith(part)) for each in _RESOURCES):
            # The name may end here, or continue with a part of the same name.
            name = "/".join(parts[:index])
            return name, beginning_with(f"{name}/")[1]
    return beginning_with("/".join(parts))


def _hexadecimal(digest: str) -> str:
    """Return a digest without its algorithm."""
    return digest.rpartition(":")[2].lower()


RULES = ContentRules(
    asset_path=asset_path,
    component_path=component_path,
    name_of=name_of,
    names_below=names_below,
    component_kinds=(TAG,),  # An image is shown as its tags.
    search_fields={
        "docker.imageName": SearchField(SearchTarget.NAME, "Image name."),
        "docker.imageTag": SearchField(SearchTarget.VERSION, "Tag."),
        "docker.contentDigest": SearchField(
            SearchTarget.DIGEST, "Digest of the manifest.", _hexadecimal
        ),
        "docker.layerId": SearchField(
            SearchTarget.PART, "Digest of a layer, config or manifest of the image.", _hexadecimal
        ),
        "docker.labels": SearchField(SearchTarget.LABEL, "A label, as NAME=VALUE."),
    },
    attached_kinds=(SUBJECT,),
    owner_of=owner_of,
    is_browsed=("blobs", "manifests", "tags").__contains__,
)
