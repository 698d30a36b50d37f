"""What hostile programs leave in a workspace: each must be gone, without a trace, when it is restored.

Written in Python, for any kernel: what one does not know is passed over.
"""

from __future__ import annotations

DESCRIBE = """
import hashlib, os, stat
def tell(path):
    it = os.lstat(path)
    kind, content = stat.S_IFMT(it.st_mode), ""
    if stat.S_ISREG(it.st_mode):
        with open(path, "rb") as file: content = hashlib.sha256(file.read()).hexdigest()
    if stat.S_ISLNK(it.st_mode): content = os.readlink(path)
    size = 0 if stat.S_ISDIR(it.st_mode) else it.st_size
    print(ascii(path), oct(it.st_mode), it.st_uid, it.st_gid, it.st_mtime_ns, size, content)
    if stat.S_ISDIR(it.st_mode):
        for name in sorted(os.listdir(path)): tell(path + "/" + name)
tell(".")
room = os.statvfs(".")
print([(name, os.getxattr(".", name)) for name in sorted(os.listxattr("."))], room.f_bfree, room.f_ffree)
for kind in ("shm", "sem", "msg"):
    if os.path.exists("/proc/sysvipc/" + kind): print(kind, open("/proc/sysvipc/" + kind).readlines()[1:])
print(os.listdir("/dev/shm") if os.path.isdir("/dev/shm") else [])
print(sorted(os.listdir("/tmp")) if os.path.isdir("/tmp") else [])
"""
"""Prints all that a program can see of a workspace that it can read, and of the shared memory."""

_START = """
import array, contextlib, fcntl, mmap, os, socket, stat, struct, sys, time
"""

_PROGRAMS = {
    "nothing at all": "",
    "a few files": """
os.makedirs("a/b/c")
for name in ("main", "a/new", "a/b/c/deep", ".tmp/temporary"): open(name, "w").write("left")
os.unlink("kept/data")
os.rename("kept", "elsewhere")
""",
    "folders as deep as can be": """
with contextlib.suppress(OSError):
    for _ in range(5000):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)
    open("bottom", "w").close()
""",
    "deep folders that are locked": """
for _ in range(1000):
    os.mkdir("d")
    os.mkdir("e")
    os.chdir("d")
for _ in range(1000):
    os.chdir("..")
    os.chmod("e", 0)
    os.chmod("d", 0)
""",
    "a workspace that nobody may use": "os.chmod('.', 0)",
    "modes of all kinds": """
for mode in range(0o10000):
    if mode % 7 == 0 and mode < 0o1000 or mode % 0o111 == 0:
        os.mkdir(f"folder{mode:o}")
        open(f"folder{mode:o}/file", "w").close()
        os.chmod(f"folder{mode:o}/file", mode)
        os.chmod(f"folder{mode:o}", mode)
os.chmod(".", 0o1777)
""",
    "names of any bytes": """
for byte in range(1, 256):
    if byte not in b"/":
        name = bytes([byte])
        with contextlib.suppress(OSError): os.mkdir(name * 255)
        with contextlib.suppress(OSError): open(b"x" + name, "w").close()
for name in (b"-rf", b"...", b"..x", b" ", b"\\n\\n", b"%s%n", b"\\xff\\xfe"): open(name, "w").close()
""",
    "links to everywhere": """
os.rename(".tmp", "was")
for place in ("/", "..", ".", "/proc/1/root", "/dev/shm", "/workspace", "kept", "nowhere", "x" * 4000):
    os.symlink(place, f"to{place[:40]}".replace("/", "_"))
os.symlink("/etc", ".tmp")
os.symlink("loop", "loop")
for number in range(100): os.link("main", f"hard{number}")
""",
    "pipes, sockets and devices": """
os.mkfifo("pipe")
os.mkfifo("locked", 0)
socket.socket(socket.AF_UNIX).bind("socket")
with contextlib.suppress(OSError): os.mknod("whiteout", stat.S_IFCHR)
with contextlib.suppress(OSError): os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
os.unlink("main")
os.mkfifo("main")
""",
    "no inode left": """
with contextlib.suppress(OSError):
    for number in range(20000): open(f"file{number}", "w").close()
""",
    "no room left": """
with contextlib.suppress(OSError):
    with open("all", "wb", 0) as file:
        while True: file.write(bytes(65536))
""",
    "no room left, in small files": """
with contextlib.suppress(OSError):
    os.mkdir("small")
    for number in range(20000): open(f"small/{number}", "wb").write(bytes(4096))
""",
    "files far larger than the room": """
for number in range(100):
    with open(f"sparse{number}", "wb") as file:
        with contextlib.suppress(OSError): os.truncate(file.fileno(), 1 << 20)
with open("huge", "wb") as file:
    with contextlib.suppress(OSError): os.truncate(file.fileno(), 1 << 40)
with contextlib.suppress(OSError): os.posix_fallocate(os.open("reserved", os.O_CREAT | os.O_RDWR), 0, 1 << 22)
""",
    "attributes that are inherited": """
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in
    ((1, 0, -1 % 2**32), (2, 0, 12345), (4, 0, -1 % 2**32), (16, 7, -1 % 2**32), (32, 7, -1 % 2**32)))
for name, value in (("user.note", b"from the one before"), ("system.posix_acl_default", acl),
                    ("system.posix_acl_access", acl), ("user.large", bytes(1000))):
    for path in (".", "kept", "kept/data"):
        with contextlib.suppress(OSError): os.setxattr(path, name, value)
os.chmod(".", 0)
""",
    "flags": """
os.mkdir("flagged")
open("flagged/file", "w").close()
for path in ("flagged/file", "flagged", "kept", "."):
    file = os.open(path, os.O_RDONLY)
    for flag in (1 << bit for bit in range(32)):
        with contextlib.suppress(OSError):
            flags = array.array("i", [0])
            fcntl.ioctl(file, 0x80086601, flags)
            fcntl.ioctl(file, 0x40086602, array.array("I", [flags[0] % 2**32 | flag]))
""",
    "times": """
for path in ("main", "kept/data", "kept", "."): os.utime(path, ns=(1, -10**18))
""",
    "a change that shows in no time": """
before = os.stat("main")
with open("main", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory: memory[0:1] = b"!"
os.utime("main", ns=(before.st_atime_ns, before.st_mtime_ns))
""",
    "shared memory, and temporary files": """
for place in filter(os.path.isdir, ("/dev/shm", "/tmp")):
    os.makedirs(place + "/deep/er")
    open(place + "/deep/er/file", "w").write("left")
    os.chmod(place + "/deep/er", 0)
    os.symlink("/", place + "/link")
    os.mkfifo(place + "/pipe")
    with contextlib.suppress(OSError): os.chmod(place, 0)
    with contextlib.suppress(OSError): os.setxattr(place, "user.note", b"left")
""",
    "System V IPC": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for mode in (0o600, 0o777, 0):
    for key in (0, 1000 + mode):  # IPC_PRIVATE, and one that others could look for.
        shared, queue = libc.shmget(key, 1 << 20, 0o1000 | mode), libc.msgget(key, 0o1000 | mode)
        libc.semget(key, 9, 0o1000 | mode)
        libc.msgsnd(queue, struct.pack("l4s", 1, b"left"), 4, 0o4000)
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(shared, None, 0)
        if at not in (None, ctypes.c_void_p(-1).value): ctypes.memset(at, 1, 1 << 20)
        owner = (ctypes.c_char * 200)()
        if libc.shmctl(shared, 2, owner) == 0:  # IPC_STAT, then IPC_SET with another owner.
            struct.pack_into("=II", owner, 4, 12345, 12345)
            libc.shmctl(shared, 1, owner)
""",
    "processes that go on": """
for number in range(5):
    if os.fork() == 0:
        os.setsid()
        while True:
            with contextlib.suppress(OSError):
                open(f"left{number}", "a").write("x")
                os.makedirs(f"again{number}/and/again", exist_ok=True)
""",
    "room that sockets hold": """
pairs = [socket.socketpair() for _ in range(2)]
with open("held", "wb+", 0) as file:
    file.write(bytes(1 << 22))
    os.unlink("held")
    for one, other in (pairs, pairs[::-1]):
        socket.send_fds(one[0], [b"x"], [file.fileno(), other[1].fileno()])
        socket.send_fds(one[1], [b"x"], [file.fileno(), other[0].fileno()])
""",
    "another working directory that is gone": """
os.makedirs("gone/er")
os.chdir("gone/er")
os.rmdir("../er")
os.rmdir("../../gone") if os.path.exists("../../gone") else None
""",
}

PROGRAMS = {name: _START + program for name, program in _PROGRAMS.items()}
