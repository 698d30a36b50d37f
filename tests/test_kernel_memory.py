"""Memory that is in no process: what the kernel holds for a program counts as the program's."""

from __future__ import annotations

import docker
import pytest

from tests.support import Client
from trio_exec.executor.machine import Machine
from trio_exec.limits import MIB


def charges_ipc() -> bool:
    engine = docker.from_env()
    try:
        return Machine.of(engine.api.info()).charges_ipc
    finally:
        engine.close()


TINY = r"""
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <unistd.h>
// Some pages of its own and no more: to the kernel it looks smaller than the launcher.
const char* tiny = R"(
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/socket.h>
static long call(long n, auto a, auto b, auto c, void* d = nullptr) {
    register void* r10 asm("r10") = d;
    asm volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return n;
}
extern "C" void _start() {
    if (LOWER) {
        int fd = call(SYS_open, "/proc/self/oom_score_adj", O_WRONLY, 0);
        for (auto value : (const char[][4]){"999", "500", "100", "000", "-99"}) call(SYS_write, fd, value, 3);
    }
    static char bytes[4096];
    int held = call(SYS_open, "held", O_WRONLY | O_CREAT, 0644);  // While there are descriptors.
    for (;;) {
        int pair[2];
        if (SOCKETS && call(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0) {
            for (int end : pair)
                while (call(SYS_write, end, bytes, sizeof bytes) > 0) {}
        } else {  // Or when there are no more.
            call(SYS_write, held, bytes, sizeof bytes);
        }
    }
}
)";
int main(int count, char** arguments) {
    std::ofstream("tiny.cc") << tiny;
    std::string options = std::string(" -DLOWER=") + arguments[1] + " -DSOCKETS=" + arguments[2];
    if (system(("g++ -std=c++20 -nostdlib -static -O2 -fno-stack-protector -fno-threadsafe-statics" + options +
                " -o tiny tiny.cc").c_str()) != 0)
        return 1;
    unlink("tiny.cc");
    execl("./tiny", "./tiny", (char*)nullptr);
}
"""


@pytest.mark.parametrize("lower", ["0", "1"], ids=["as told", "lowered"])
@pytest.mark.parametrize("sockets", ["0", "1"], ids=["files", "sockets"])
async def test_memory_outside_of_any_process_is_the_programs_all_the_same(
    client: Client, sockets: str, lower: str
) -> None:
    limits = {"memoryBytes": 32 * MIB}
    run = await client.run(language="cpp", code=TINY, args=[lower, sockets], limits=limits)

    assert (run.reason, run.stderr) == ("memory_limit", "")
    # Only an engine with CAP_SYS_RESOURCE to give can keep a program from lowering itself below its launcher, which
    # then goes first, without any figures.
    if lower == "0" or "launchers do without SYS_RESOURCE" not in client.server.log():
        assert run.final.signal == "SIGKILL"


TCP = r"""
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <initializer_list>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// Fills connections in many processes, as many as there can be, and tells what was taken in sum.
struct Total { long bytes, connections, done; };

long fill(int fd) {
    static char piece[65536];
    long sum = 0;
    for (long n; (n = send(fd, piece, sizeof piece, MSG_DONTWAIT)) > 0;) sum += n;
    return sum;
}

int listener(sockaddr_in& address) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address = {.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t length = sizeof address;
    if (fd < 0 || bind(fd, (sockaddr*)&address, length) < 0 || listen(fd, 100000) < 0) return -1;
    return getsockname(fd, (sockaddr*)&address, &length) < 0 ? -1 : fd;
}

void enlarge(int fd) {
    int size = 1 << 24;
    for (int option : {SO_SNDBUF, SO_RCVBUF}) setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

int main(int, char** arguments) {
    bool accepts = atoi(arguments[1]);
    constexpr int processes = 28;
    auto* total = (Total*)mmap(nullptr, sizeof(Total), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < processes; i++) {
        if (fork() != 0) continue;
        sockaddr_in address;
        for (int server; (server = listener(address)) >= 0;) {
            for (int n = 0; n < 1000; n++) {
                int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                if (client < 0) break;
                enlarge(client);
                connect(client, (sockaddr*)&address, sizeof address);
                usleep(100);
                long taken = fill(client);
                if (accepts) {
                    int other = accept4(server, nullptr, nullptr, SOCK_NONBLOCK);
                    if (other < 0) break;
                    enlarge(other);
                    taken += fill(other) + fill(client);
                } else {
                    close(client);  // What it sent stays with the listener, and takes no descriptor.
                }
                __atomic_add_fetch(&total->bytes, taken, __ATOMIC_RELAXED);
                __atomic_add_fetch(&total->connections, 1, __ATOMIC_RELAXED);
                if (taken == 0) break;
            }
        }
        __atomic_add_fetch(&total->done, 1, __ATOMIC_RELAXED);
        pause();
    }
    for (int i = 0; i < 150 && total->done < processes; i++) usleep(100000);
    printf("%ld %ld\n", total->bytes, total->connections);
    fflush(stdout);
    kill(-1, SIGKILL);
}
"""


@pytest.mark.parametrize("accepts", ["1", "0"], ids=["accepted", "never accepted"])
async def test_connections_hold_no_more_than_the_memory_limit(client: Client, accepts: str) -> None:
    memory = 64 * MIB
    limits = {"memoryBytes": memory, "executionTimeout": 30}
    run = await client.run(language="cpp", code=TCP, args=[accepts], limits=limits)

    if run.reason != "memory_limit":
        assert (run.reason, run.stderr) == (None, "")
        taken, connections = map(int, run.stdout.split())
        assert connections > 500
        assert taken < memory


SHARED = """
from multiprocessing import shared_memory
memory = shared_memory.SharedMemory(create=True, size=SIZE)
for at in range(0, SIZE, 1_000_000): memory.buf[at : at + 1_000_000] = b"x" * len(memory.buf[at : at + 1_000_000])
print(len(memory.buf), bytes(memory.buf[-3:]), flush=True)
memory.close()
memory.unlink()
"""


@pytest.mark.parametrize("size", [10_000_000, 100_000_000])
async def test_programs_share_as_much_as_they_have_memory(client: Client, size: int) -> None:
    run = await client.run(language="python", code=SHARED.replace("SIZE", str(size)))

    assert run.outcome == (f"{size} b'xxx'\n", "", "run: exit 0")


FILLED = {
    "mapped": SHARED.replace("SIZE", "300_000_000"),
    "written": """
with open("/dev/shm/all", "wb", 0) as file:
    while True: file.write(bytes(1 << 20))
""",
    "in small files": """
for number in range(1_000_000): open(f"/dev/shm/{number}", "w").write("x")
""",
}


@pytest.mark.parametrize("memory", [32 * MIB, 200 * MIB])
@pytest.mark.parametrize("name", FILLED)
async def test_what_is_shared_meets_the_limit_on_memory(client: Client, name: str, memory: int) -> None:
    run = await client.run(language="python", code=FILLED[name], limits={"memoryBytes": memory})

    assert (run.reason, run.final.signal, run.stdout) == ("memory_limit", "SIGKILL", "")


IPC = r"""
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
static long taken;
static void tell() { fprintf(stderr, "%ld\n", taken); }
int main(int, char** arguments) {
    const char* what = arguments[1];
    static struct { long type; char text[8192]; } message{1, {}};
    for (int failed = 0; failed < 1000;) {
        long size = -1;
        if (!strcmp(what, "shared memory")) {
            int id = shmget(IPC_PRIVATE, 1 << 20, 0600);
            void* at = id < 0 ? (void*)-1 : shmat(id, nullptr, 0);
            if (at != (void*)-1) memset(at, 1, size = 1 << 20);
            if (at != (void*)-1) shmdt(at);  // It stays.
        } else if (!strcmp(what, "segments")) {
            if (shmget(IPC_PRIVATE, 1, 0600) >= 0) size = 512;
        } else if (!strcmp(what, "semaphores")) {
            if (semget(IPC_PRIVATE, 32000, 0600) >= 0) size = 32000 * 64;
        } else if (!strcmp(what, "single semaphores")) {
            if (semget(IPC_PRIVATE, 1, 0600) >= 0) size = 64;
        } else {
            int id = msgget(IPC_PRIVATE, 0600);
            size_t length = !strcmp(what, "messages") ? 8192 : 0;
            while (id >= 0 && msgsnd(id, &message, length, IPC_NOWAIT) == 0) taken += length + 48;
            if (id >= 0) size = 0;
        }
        failed = size < 0 ? failed + 1 : 0;
        if (size > 0) taken += size;
    }
    tell();
}
"""


@pytest.mark.parametrize(
    "what",
    ["shared memory", "segments", "semaphores", "single semaphores", "messages", "empty messages"],
)
async def test_what_the_kernel_holds_for_system_v_ipc_is_the_programs(client: Client, what: str) -> None:
    """Either the memory limit ends it, or it is told that there is no more, long before that is beyond the limit."""
    run = await client.run(language="cpp", code=IPC, args=[what], limits={"memoryBytes": 32 * MIB})

    if run.reason is None:
        assert run.ending == "run: exit 0"
        assert int(run.stderr) < 32 * MIB
    else:
        assert (run.reason, run.final.signal) == ("memory_limit", "SIGKILL")


SPEAKING = """
#include <cstdio>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>
int main() {
    int memory = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), turn = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    int* shared = (int*)shmat(memory, nullptr, 0);
    if (fork() == 0) {
        *shared = 42;
        sembuf up{0, 1, 0};
        return semop(turn, &up, 1);
    }
    sembuf down{0, -1, 0};
    semop(turn, &down, 1);
    printf("%d\\n", *shared);
    wait(nullptr);
    return shmctl(memory, IPC_RMID, nullptr) + semctl(turn, 0, IPC_RMID);
}
"""


async def test_processes_speak_through_system_v_ipc(client: Client) -> None:
    if not charges_ipc():
        pytest.skip("this machine's kernel does not charge it")
    run = await client.run(language="cpp", code=SPEAKING)

    assert run.outcome == ("42\n", "", "run: exit 0")
