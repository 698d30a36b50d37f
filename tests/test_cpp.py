"""C++ against GCC itself: precompiled headers change neither the program nor a word of what the compiler says."""

from __future__ import annotations

import io
import os
import re
import shlex
import tarfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import docker
import pytest

from tests.support import Client, Run
from trio_exec.languages import Languages, Sizes

CPP = Languages.load()["cpp"]
COMMAND = CPP.compile
EVERYTHING = "bits/stdc++.h"
HEADERS = "/usr/local/lib/trio-exec/precompiled-headers"
SORTED = "int main() { std::vector<int> v{3, 1, 2}; std::sort(v.begin(), v.end()); std::cout << v[0]; }"
THREE = "#include <algorithm>\n#include <iostream>\n#include <vector>\n"


@dataclass(frozen=True)
class Compiler:
    """A container of the image, to compile in."""

    container: Any

    def put(self, files: dict[str, str]) -> None:
        """Leaves nothing but these files in the workspace."""
        self.run(["sh", "-c", "rm -rf /workspace/* /workspace/.[!.]*; mkdir /workspace/.tmp"])
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, text in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
        self.container.put_archive("/workspace", buffer.getvalue())

    def run(self, command: list[str], **environment: str) -> tuple[int, str, str]:
        """Its exit code, its stdout and its stderr, with temporary files under one name."""
        exit_code, (out, err) = self.container.exec_run(
            command, demux=True, workdir="/workspace", environment={"LANG": "en_US.UTF-8", **environment}
        )
        return exit_code, (out or b"").decode(), re.sub(r"/tmp/cc\w{6}", "/tmp/cc", (err or b"").decode())

    def compile(self, files: dict[str, str], command: list[str]) -> tuple[object, ...]:
        """What the compiler says, the digest of the program that it makes, and the names of all files."""
        self.put(files)
        said = self.run(command)
        return said, self.run(["sh", "-c", "sha256sum .program; ls -A . .tmp"])


@pytest.fixture(scope="module")
def compiler(images: dict[str, str]) -> Generator[Compiler]:
    """As in a session."""
    yield from _compiler(images["cpp"])


@pytest.fixture(scope="module")
def gcc(images: dict[str, str]) -> Generator[Compiler]:
    """Without any precompiled header."""
    for compiler in _compiler(images["cpp"]):
        assert compiler.run(["find", "/usr", "-name", "*.gch", "-delete"])[0] == 0
        yield compiler


def _compiler(image: str) -> Generator[Compiler]:
    engine = docker.from_env()
    container: Any = engine.containers.run(
        image, entrypoint=["sleep"], command=["600"], detach=True, auto_remove=True, mem_limit=512 * 2**20
    )
    yield Compiler(container)
    container.remove(force=True)
    engine.close()


def commands(*names: str) -> tuple[list[str], list[str]]:
    """The compile command, and the part of it that is GCC's own."""
    assert COMMAND is not None
    command = COMMAND.expand(CPP.sources(names), Sizes(200 * 2**20, 4))
    return command, command[command.index("--") + 1 :]


SAME: dict[str, str | dict[str, str]] = {
    "three headers": THREE + SORTED,
    "in another order": "#include <vector>\n#include <algorithm>\n#include <iostream>\n" + SORTED,
    "more than is precompiled": "#include <map>\n#include <string>\n"
    + THREE
    + "int main() { std::map<std::string, int> m; m[{}] = 1; std::cout << m.size(); }",
    "shared pointers": "#include <iostream>\n#include <memory>\n#include <string>\n#include <vector>\n"
    "int main() { std::vector<std::shared_ptr<std::string>> v{std::make_shared<std::string>()}; std::cout << *v[0]; }",
    "time": "#include <iostream>\n#include <chrono>\n#include <thread>\n"
    "int main() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); std::cout << 1; }",
    "everything": "#include <bits/stdc++.h>\nusing namespace std;\n"
    "int main() { smatch match; cout << match.size() << gcd(4, 6); }",
    "its own names": "#include <iostream>\nusing namespace std;\nint count = 1, vector = 2, distance2 = 3;\n"
    "int sort(int x) { return x; }\nint main() { cout << sort(count) + vector; }",
    "its own class of a header's name": "#include <iostream>\n#include <vector>\nusing namespace std;\n"
    "struct map { int find; };\nint main() { map m{3}; cout << m.find << vector<int>{1}[0]; }",
    "its own operator and overloads": THREE + "struct S { int x; };\nbool operator<(S a, S b) { return a.x > b.x; }\n"
    "std::ostream& operator<<(std::ostream& o, S s) { return o << s.x; }\n"
    "int main() { std::vector<S> v{{1}, {2}}; std::sort(v.begin(), v.end()); std::cout << v[0]; }",
    "specialisations": THREE
    + "struct S {};\ntemplate <> struct std::hash<S> { size_t operator()(S) const { return 7; } };\n"
    "template <> void std::swap(S&, S&) noexcept { std::cout << 1; }\nint main() { S a, b; std::swap(a, b); }",
    "constructors of globals": THREE + "struct S { S() { std::cout << 1; } } s;\nint main() {}",
    "places": THREE + "#include <source_location>\nint main() { std::cout << __FILE__ << __LINE__ << __COUNTER__\n"
    "<< __INCLUDE_LEVEL__ << __BASE_FILE__ << std::source_location::current().line(); }",
    "which headers there are": THREE + "#ifdef _GLIBCXX_MAP\nint x = 1;\n#else\nint x = 2;\n#endif\n"
    "#ifdef _GLIBCXX_ALGORITHM\nint y = 1;\n#endif\nint main() { std::cout << x + y; }",
    "all private": "#define private public\n#include <vector>\n#include <iostream>\n"
    "int main() { std::vector<int> v; std::cout << (v._M_impl._M_start == nullptr); }",
    "a debug mode": "#define _GLIBCXX_DEBUG\n" + THREE + SORTED,
    "asserts": "#include <iostream>\n#include <vector>\n#define NDEBUG\n#include <cassert>\n#include <algorithm>\n"
    "int main() { assert(false); std::cout << 1; }",
    "a pragma": '#pragma GCC optimize("O3")\n#pragma GCC target("avx2")\n#include <bits/stdc++.h>\n'
    "int f(const std::vector<int>& v) { int s = 0; for (int x : v) s += x; return s; }\nint main() { return f({}); }",
    "its own header": {
        "main.cpp": '#include "own.h"\n' + THREE + SORTED,
        "own.h": "#define vector no_vector\n#include <vector>\n#undef vector\n",
    },
    "files of a header's name": {"main.cpp": "#include <string>\n" + THREE + SORTED, "iostream": "no", "vector": "no"},
    "several files": {
        "main.cpp": THREE + "int one();\nint main() { std::cout << one(); }",
        "lib/one.cpp": "#include <vector>\n#include <iostream>\nint one() { return std::vector<int>{1}[0]; }",
        "lib/two.cpp": "#include <iostream>\n#include <vector>\nint vectors() { return 2; }",
    },
    "a byte order mark and windows newlines": "\ufeff" + (THREE + SORTED).replace("\n", "\r\n"),
    "no newline at the end": "#include <string>\n#include <iostream>\nint main() { std::cout << 1; }",
    "empty": "",
    "nothing but headers": THREE,
    "no std::sort": "#include <iostream>\nint main() { int a[2]; std::sort(a, a + 2); }",
    "no std::sort with vectors": "#include <string>\n#include <iostream>\n#include <vector>\n" + SORTED,
    "no std::map": THREE + "int main() { std::map<int, int> m; m[1] = std::sqrt(2); }",
    "no std::map, no std::vector": "#include <iostream>\nint main() { std::map<int, int> m; std::vector<int> v; }",
    "a name that is there": THREE + "using namespace std;\nint count = 0;\nint main() { return count; }",
    "an error": THREE + "int main() {\n    std::vector<int> v = 3\n    std::cout << x;\n}",
    "an error in a template": THREE + "#include <string>\nstruct S {};\nint main() {\n"
    "    std::vector<S> v(2);\n    std::sort(v.begin(), v.end());\n    std::cout << v[0] << std::string(S());\n}",
    "a misspelt name": THREE + "int main() { std::vectr<int> v; std::cuot << v.sizee() << std::end_; }",
    "an error behind a warning": THREE + "int f() {}\nint main() { return f() / 0 + y; }",
    "warnings": THREE + "#warning look\nint f() {}\nint main() { std::cout << 1 / 0 << f(); }",
    "a warning from a header": THREE
    + "int main() { std::vector<int> v; v.data()[0]; auto f = std::max<int>; delete (void*)f; }",
    "a failed assertion": THREE + 'static_assert(sizeof(std::vector<int>) == 1, "small");\nint main() {}',
    "an undefined function": THREE + "int f();\nint main() { return f(); }",
    "an unknown header": THREE + "#include <vectors>\nint main() {}",
    "an endless comment": THREE + "/* int main() {}",
    "more on the line": "#include <iostream> x\n#include <vector> /* a\nb */ y\nint main() {}",
    "joined lines": "#include <iostream>\n// \\\n#include <vector>\nint main() { std::vector<int> v; }",
}


@pytest.mark.parametrize("name", SAME)
def test_the_program_and_the_words_are_gccs_own(compiler: Compiler, gcc: Compiler, name: str) -> None:
    program = SAME[name]
    files = program if isinstance(program, dict) else {"main.cpp": program}
    ours, plain = commands(*files)
    with ThreadPoolExecutor() as threads:
        expected = threads.submit(gcc.compile, files, plain)
        assert compiler.compile(files, ours) == expected.result()


LINKED: dict[str, str | dict[str, str]] = {
    "an undefined function": "int area(int);\nint main() { return area(1); }",
    "an undefined function, with a precompiled header": THREE + "int area(int);\nint main() { return area(1); }",
    "several undefined names": "extern int x; void f(); void g();\nint main() { f(); g(); f(); return x; }",
    "an undefined member": "struct S { void f(); static int x; };\nint main() { S().f(); return S::x; }",
    "no main": "int f() { return 1; }",
    "mian": "#include <iostream>\nint mian() { std::cout << 1; return 0; }",
    "an empty file": "",
    "a missing vtable": "struct S { virtual void f(); virtual ~S() {} };\nint main() { S s; s.f(); }",
    "a template that is elsewhere": "template <class T> T f(T);\nint main() { return f(1); }",
    "C's names": 'extern "C" int f();\nint main() { return f(); }',
    "OpenMP": "int omp_get_num_threads();\nint main() { return omp_get_num_threads(); }",
    "threads of one's own": "void* start(void*);\n#include <pthread.h>\n"
    "int main() { pthread_t t; return pthread_create(&t, nullptr, start, nullptr); }",
    "duplicates": {
        "main.cpp": "int x = 1; int f() { return 1; }\nint main() {}",
        "b.cpp": "int x; int f() { return 2; }",
    },
    "two mains": {"main.cpp": "int main() {}", "b.cpp": "int main() {}"},
    "a file that is not there": {
        "main.cpp": '#include "area.h"\nint main() { return area(1); }',
        "area.h": "int area(int);",
    },
    "a warning and an undefined function": "#warning look\nint f();\nint main() { return f(); }",
}


@pytest.mark.parametrize("name", LINKED)
def test_what_fails_to_link_is_told_in_gnu_lds_words(compiler: Compiler, gcc: Compiler, name: str) -> None:
    program = LINKED[name]
    files = program if isinstance(program, dict) else {"main.cpp": program}
    ours, plain = commands(*files)
    home = [part for part in plain if not part.startswith(("-B", "/usr/local"))]
    gcc.put(files)
    compiler.put(files)

    expected = gcc.run(home)
    assert expected[0] == 1
    assert "collect2: error: ld returned 1 exit status" in expected[2]
    assert compiler.run(ours) == expected


def test_what_links_is_linked_by_mold(compiler: Compiler) -> None:
    compiler.put({"main.cpp": "int main() {}"})
    assert compiler.run(commands("main.cpp")[0]) == (0, "", "")

    assert "mold" in compiler.run(["readelf", "-p", ".comment", ".program"])[1]


CHOSEN: list[tuple[str, str]] = [
    # the beginning of a source, the header in the directory
    (THREE, "algorithm,iostream,vector.h"),
    ("#include <vector>\n#include <iostream>", "iostream,vector.h"),
    ("#include <functional>\n#include <iostream>\n", "iostream,vector.h"),  # <functional> includes <vector>.
    ("#include <memory>\n#include <iostream>\n#include <vector>\n", "iostream,memory,vector.h"),
    (THREE + "#include <chrono>\n", "chrono,iostream.h"),
    ("#include <string>\n#include <iostream>\n", "iostream.h"),
    ("#include <stdio.h>\n#include <cmath>\n#include <iostream>\n", "iostream.h"),
    ("#include <iostream>", "iostream.h"),
    ("#include <string>\n#include <bits/stdc++.h>\n", EVERYTHING),
    ("#include <bits/stdc++.h>\n#include <string>\n", ""),  # GCC finds it without help.
    ("#include <vector>\n#include <algorithm>\n", ""),
    ("", ""),
    (
        "\ufeff\r\n// a\r\n/* b\r\n * c */\r\n# \tinclude  <vector> // d\r\n  #include<iostream>\r\n",
        "iostream,vector.h",
    ),
    ("#include <vector> /* a */ /* b */\n/**/ #include/**/<iostream>/", "iostream,vector.h"),
    ("#include <vector>\nint x;\n#include <iostream>\n", ""),
    ("#include <vector>\n#define x\n#include <iostream>\n", ""),
    ("#include <vector>\n#pragma once\n#include <iostream>\n", ""),
    ('#include <vector>\n#include "own.h"\n#include <iostream>\n', ""),
    ("#include <vector>\n#include <unknown>\n#include <iostream>\n", ""),
    ("#include <vector>\n#include_next <iostream>\n", ""),
    ("#include <vector>\n%:include <iostream>\n", ""),
    ("#include <vector> /* a\nb */ #include <iostream>\n", ""),
    ("#include <vector>\n#include <ios\n#include <iostream>\n", ""),
    ("#include <vector>\n// a \\\n#include <iostream>\n", ""),
    ("#include <vector>\n/* a *\\\n/ int x;\n#include <iostream>\n/* */", ""),
    ("#include <vector>\n// " + 70_000 * "x" + "\n#include <iostream>\n", ""),
    ("#include <vector>\n/* #include <iostream>\n", ""),
    ("#if 0\n#include <iostream>\n#include <vector>\n#endif\n", ""),
    ("module;\n#include <iostream>\n#include <vector>\n", ""),
    ('R"(\n#include <iostream>\n#include <vector>\n)"', ""),
]


def test_what_a_source_begins_with_decides(compiler: Compiler) -> None:
    names = [f"{number}.cpp" for number in range(len(CHOSEN))]
    compiler.put(dict(zip(names, (text for text, _ in CHOSEN), strict=True)))

    found = chosen(compiler, *([name] for name in names))
    expected = [header if header in {"", EVERYTHING} else f"{HEADERS}/{header}" for _, header in CHOSEN]
    assert dict(zip(CHOSEN, found, strict=True)) == dict(zip(CHOSEN, expected, strict=True))


def chosen(compiler: Compiler, *sources: list[str], **environment: str) -> list[str]:
    """What the compile tool adds to a command, for each of these lists of sources."""
    tool = commands("main.cpp")[0][0]
    script = "\n".join(shlex.join([tool, *names, "--", "echo"]) for names in sources)
    exit_code, out, err = compiler.run(["sh", "-ec", script], **environment)
    assert (exit_code, err) == (0, "")
    found = [line.removeprefix("-include ") for line in out.splitlines()]
    return [EVERYTHING if header.endswith(EVERYTHING) else header for header in found]


def test_all_sources_decide_and_the_environment(compiler: Compiler) -> None:
    compiler.put({"a.cpp": THREE, "b.cpp": "#include <iostream>\n#include <vector>\n", "c.cpp": "int x;"})

    together = [["a.cpp", "a.cpp"], ["a.cpp", "b.cpp"], ["a.cpp", "c.cpp"], ["a.cpp", "missing.cpp"], ["a.cpp", "."]]
    three, two = f"{HEADERS}/algorithm,iostream,vector.h", f"{HEADERS}/iostream,vector.h"
    assert chosen(compiler, *together) == [three, two, "", "", ""]
    assert chosen(compiler, ["a.cpp"], CPATH="/workspace") == [""]


@pytest.mark.parametrize("header", sorted({header for _, header in CHOSEN} - {"", EVERYTHING}))
def test_gcc_uses_what_was_chosen(compiler: Compiler, header: str) -> None:
    compiler.put({"main.cpp": next(text for text, chosen in CHOSEN if chosen == header)})
    _, plain = commands("main.cpp")

    _, _, err = compiler.run([plain[0], "-include", f"{HEADERS}/{header}", "-H", "-c", *plain[1:-1]])
    assert err.splitlines()[0] == f"! {HEADERS}/{header}.gch"


async def test_a_session_with_a_precompiled_header(client: Client) -> None:
    run = await client.run(language="cpp", code=THREE + SORTED)

    assert run.outcome == ("1", "", "run: exit 0")


@pytest.mark.parametrize("pids", [2, 4, 8])
async def test_a_session_with_few_processes(client: Client, pids: int) -> None:
    async def started(code: str) -> Run:
        """Tried again where the engine could not start the container: runc itself needs processes in it, at times."""
        run = await client.run(language="cpp", code=code, limits={"pids": pids})
        for _ in range(2):
            if "could not start a container" in (run.final.message or ""):
                run = await client.run(language="cpp", code=code, limits={"pids": pids})
        return run

    code = "#include <iostream>\nint main() { std::cout << 1; }"
    plain = await started(code)
    run = await started("#include <string>\n" + code)

    assert (run.stdout, run.ending) == (plain.stdout, plain.ending)
    assert plain.ending in {"run: exit 0", "compile: exit 1"}


async def test_a_header_that_is_missing(client: Client) -> None:
    run = await client.run(language="cpp", code="#include <iostream>\n#include <vector>\n" + SORTED)

    assert run.ending == "compile: exit 1"
    assert "error: ‘sort’ is not a member of ‘std’" in run.stderr


PROCESSORS = """
#include <sys/sysinfo.h>
#include <unistd.h>
#include <iostream>
#include <thread>
int main() {
    std::cout << std::thread::hardware_concurrency() << get_nprocs() << sysconf(_SC_NPROCESSORS_ONLN);
    std::cout << (sysconf(_SC_PAGESIZE) == getpagesize());
}
"""


@pytest.mark.parametrize(("pids", "most"), [(32, 4), (16, 2), (12, 1)])
async def test_programs_see_as_many_processors_as_their_threads_have_room_for(
    client: Client, pids: int, most: int
) -> None:
    run = await client.run(language="cpp", code=PROCESSORS, limits={"pids": pids})

    seen = min(most, os.cpu_count() or 1)
    assert run.outcome == (f"{seen}{seen}{seen}1", "", "run: exit 0")


async def test_a_programs_own_functions_of_these_names_are_its_own(client: Client) -> None:
    code = 'extern "C" { int get_nprocs() { return 7; } long sysconf(int) { return 8; } }\n'
    code += '#include <cstdio>\nint main() { printf("%d%ld", get_nprocs(), sysconf(0)); }'
    run = await client.run(language="cpp", code=code)

    assert run.outcome == ("78", "", "run: exit 0")


LOCALES = """
#include <clocale>
#include <ctime>
#include <iomanip>
#include <iostream>
#include <locale>
int main() {
    std::cout << std::setlocale(LC_ALL, "") << " " << std::locale("").name() << "\\n";
    std::cout.imbue(std::locale("en_US.UTF-8"));
    std::cout << 1234567.5 << " " << std::showbase << std::put_money(123450) << "\\n";
    std::cout << std::fixed << std::setprecision(2) << 1234567.891 << "\\n";
}
"""


async def test_there_is_a_locale_with_a_country(client: Client) -> None:
    run = await client.run(language="cpp", code=LOCALES)

    printed = "en_US.UTF-8 en_US.UTF-8\n1,234,567.50 $1,234.50\n1,234,567.89\n"
    assert run.outcome == (printed.replace("1,234,567.50", "1.23457e+06"), "", "run: exit 0")


async def test_processes_can_be_listed(client: Client) -> None:
    code = '#include <cstdlib>\nint main() { return std::system("ps -o comm= | tail -n 3"); }'
    run = await client.run(language="cpp", code=code, tty=True)

    assert (run.stdout, run.ending) == ("sh\r\nps\r\ntail\r\n", "run: exit 0")
