"""Writes the archive of an image that is one program: image.py TAG PROGRAM >ARCHIVE"""

import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path


def archive(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def main(tag: str, program: Path) -> None:
    layer = archive({program.name: program.read_bytes()}, mode=0o755)
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65534:65534"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    sys.stdout.buffer.write(archive({"manifest.json": manifest, "config.json": config, "layer.tar": layer}))


main(sys.argv[1], Path(sys.argv[2]))
