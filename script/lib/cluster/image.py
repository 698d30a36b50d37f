"""Writes the archive of an image that is one program: `image.py TAG PROGRAM`, to stdout, as `docker save` would."""

import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NOBODY = "65534:65534"


def archive(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    """A tar archive of files by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def image(tag: str, program: Path) -> bytes:
    """The archive of an image that starts this program, as nobody."""
    layer = archive({program.name: program.read_bytes()}, mode=0o755)
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": NOBODY},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    return archive(
        {
            "manifest.json": json.dumps(manifest).encode(),
            "config.json": json.dumps(config).encode(),
            "layer.tar": layer,
        }
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(image(sys.argv[1], Path(sys.argv[2])))
