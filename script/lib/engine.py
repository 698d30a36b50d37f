"""What scripts ask of the Docker engine.

`ping`, `has IMAGE`, `current IMAGE AUTHORITIES`, `pull IMAGE`, `import IMAGE ARCHIVE AUTHORITIES`,
`copy IMAGE ADDRESS-OF-ANOTHER-ENGINE`, `id IMAGE`, `save IMAGE`. AUTHORITIES is a hash of the certificate
authorities that are built in, or `none`. The last two write to stdout.

Exits with 0 for yes or done, and with 1 otherwise, with one line on stderr for a failure.
"""

import sys
from typing import Any, cast

import docker
import docker.errors
from docker.models.images import Image

COPY_TIMEOUT = 600  # seconds
# A tar archive carries no configuration; these are what the published images have.
CONFIGURATION = [
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'CMD ["bash"]',
]
# Of an image that was imported: which authorities it has.
AUTHORITIES_LABEL = "trio-exec.authorities"


def is_current(image: Image, authorities: str) -> bool:
    """Whether an image has these authorities, or is somebody else's, whose business they are.

    Those that were imported before there was a label have none.
    """
    if AUTHORITIES_LABEL in image.labels:
        return image.labels[AUTHORITIES_LABEL] == authorities
    imported = image.attrs.get("Comment") == "Imported from -" and not image.attrs.get("RepoDigests")
    return not imported or authorities == "none"


def main(*arguments: str) -> None:
    """Run one command; raises what docker-py raises."""
    client = docker.from_env(timeout=10)
    match arguments:
        case ["ping"]:
            client.ping()
        case ["has", image]:
            try:
                client.images.get(image)
            except docker.errors.ImageNotFound:
                sys.exit(1)
        case ["current", image, authorities]:
            try:
                found = client.images.get(image)
            except docker.errors.ImageNotFound:
                sys.exit(1)
            sys.exit(0 if is_current(found, authorities) else 1)
        case ["pull", image]:
            client.images.pull(image)
        case ["import", image, archive, authorities]:
            repository, tag = image.split(":")
            changes = [*CONFIGURATION, f"LABEL {AUTHORITIES_LABEL}={authorities}"]
            client.api.import_image_from_file(archive, repository=repository, tag=tag, changes=changes)
            client.images.get(image)
        case ["copy", image, address]:
            other = docker.DockerClient(address, timeout=COPY_TIMEOUT)
            other.images.load(
                cast("Any", client.images.get(image).save(named=image))
            )  # its stub knows no stream in pieces
        case ["id", image]:
            sys.stdout.write(f"{client.images.get(image).id}\n")
        case ["save", image]:
            sys.stdout.buffer.writelines(docker.from_env(timeout=COPY_TIMEOUT).images.get(image).save(named=image))
        case _:
            sys.exit(f"unknown command: {arguments}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (docker.errors.DockerException, OSError) as error:  # requests raises OSErrors
        sys.exit(str(error))
