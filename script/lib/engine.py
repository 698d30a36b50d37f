"""What scripts ask of the Docker engine.

`ping`, `has IMAGE`, `pull IMAGE`, `import IMAGE ARCHIVE`, `copy IMAGE ADDRESS-OF-ANOTHER-ENGINE`.

Exits with 0 for yes or done, and with 1 otherwise, with one line on stderr for a failure.
"""

import sys
from typing import Any, cast

import docker
import docker.errors

COPY_TIMEOUT = 600  # seconds
# A tar archive carries no configuration; these are what the published images have.
CONFIGURATION = [
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'CMD ["bash"]',
]


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
        case ["pull", image]:
            client.images.pull(image)
        case ["import", image, archive]:
            repository, tag = image.split(":")
            client.api.import_image_from_file(archive, repository=repository, tag=tag, changes=CONFIGURATION)
            client.images.get(image)
        case ["copy", image, address]:
            other = docker.DockerClient(address, timeout=COPY_TIMEOUT)
            other.images.load(
                cast("Any", client.images.get(image).save(named=image))
            )  # its stub knows no stream in pieces
        case _:
            sys.exit(f"unknown command: {arguments}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (docker.errors.DockerException, OSError) as error:  # requests raises OSErrors
        sys.exit(str(error))
