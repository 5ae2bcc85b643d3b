"""Referrers: the list of manifests that have a certain manifest as their subject.

Source: OCI distribution-spec, Listing Referrers.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.media_types import OCI_INDEX
from repoman_docker.protocol.reference import Digest

READ_MAX_BYTES = 64 << 20  # Manifests of this size are read for the annotations of one page.


@dataclass(frozen=True, slots=True)
class ReferrersIndex:
    """A page of the list, to be sent as ``media_types.OCI_INDEX``.

    Attributes:
        body: the index.
        is_filtered: whether ``OCI-Filters-Applied: artifactType`` is to be sent.
        last: the last digest on the page if more follow (for the Link header), or None.
    """

    body: bytes
    is_filtered: bool
    last: Digest | None


def referrers_index(
    descriptors: Iterable[Descriptor], artifact_type: str | None, max_bytes: int
) -> ReferrersIndex:
    """Return the page that lists ``descriptors`` in order, up to ``max_bytes``.

    At least one is listed if there is any, so that paging always advances. Annotations are read one
    manifest at a time, and the page ends before more than ``READ_MAX_BYTES`` are.

    Args:
        descriptors: the entries after ``last`` of the request.
        artifact_type: the parameter ``artifactType``; only these are listed, all if None or empty.
            A space in it counts as ``+``, which some clients do not escape.
        max_bytes: the length at which the list is cut, in bytes.
    """
    wanted = (artifact_type or "").replace(" ", "+")
    start = f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":['
    entries: list[str] = []
    length = len(start) + len("]}")
    last: Digest | None = None
    is_cut, read = False, 0
    for descriptor in descriptors:
        if wanted and descriptor.artifact_type != wanted:
            continue
        if descriptor.read_annotations is not None:
            read += descriptor.size
        if entries and read > READ_MAX_BYTES:
            is_cut = True
            break
        entry = render_descriptor(descriptor)
        length += len(entry) + len(",")
        if entries and length > max_bytes:
            is_cut = True
            break
        entries.append(entry)
        last = descriptor.digest
    body = start + ",".join(entries) + "]}"
    return ReferrersIndex(body.encode("ascii"), bool(wanted), last if is_cut else None)


def render_descriptor(descriptor: Descriptor) -> str:
    """Return the descriptor as JSON in ASCII, without platform and URLs."""
    read = descriptor.read_annotations
    annotations = descriptor.annotations if read is None else read()
    fields: dict[str, object] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        fields["artifactType"] = descriptor.artifact_type
    if annotations:
        fields["annotations"] = dict(annotations)
    return json.dumps(fields, separators=(",", ":"))
