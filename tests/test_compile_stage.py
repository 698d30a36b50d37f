"""A compile runs the compiler, on hostile input, and nothing that the request brings along."""

from __future__ import annotations

import pytest

from tests.programs import JAVA_MAIN
from tests.support import Client, Run

# Whatever runs it, it tells; a compiler's message that shows this line does not.
EVIL = "echo PW''NED; echo PW''NED >&2; touch pwned\n"
ANSWER = '#include <fstream>\n#include <iostream>\nint main() { std::cout << std::ifstream("pwned").good(); }'
SPECS = "*linker:\nsh evil.sh\n\n*cpp_options:\n\n*cc1plus:\n-wrapper sh,evil.sh\n"

CPP = {
    "a response file": ({"@x.cpp": "", "x.cpp": "-wrapper sh,evil.sh\n"}, {}),
    "a response file by its folder": ({"@lib/x.cpp": "", "lib/x.cpp": "-wrapper sh,evil.sh\n"}, {}),
    "an option": ({"-wrapper.cpp": "", "-specs=specs.cpp": "", "specs.cpp": SPECS}, {}),
    "an option behind the tool's own": ({"--.cpp": "", "-fplugin=x.cpp": ""}, {}),
    "specs by a library path": ({"specs": SPECS}, {"LIBRARY_PATH": "/workspace"}),
    "specs by a compiler path": ({"specs": SPECS}, {"COMPILER_PATH": "/workspace"}),
    "specs by a prefix": (
        {"x86_64-linux-gnu/14/specs": SPECS, "gcc/x86_64-linux-gnu/14/specs": SPECS, "specs": SPECS},
        {"GCC_EXEC_PREFIX": "/workspace/"},
    ),
    "specs beside the program": ({"specs": SPECS, "x86_64-linux-gnu/14/specs": SPECS}, {}),
    "tools by a path": (
        dict.fromkeys(["g++", "cc1plus", "as", "collect2", "mold", "ld"], EVIL),
        {"PATH": "/workspace"},
    ),
    "tools beside the program": (dict.fromkeys(["g++", "cc1plus", "as", "collect2", "ld.mold", "ld"], EVIL), {}),
    "options by variables": (
        {},
        {
            "COLLECT_GCC_OPTIONS": "'-wrapper' 'sh,evil.sh'",
            "COLLECT_GCC": "/workspace/evil.sh",
            "GCC_COMPARE_DEBUG": "-x",
        },
    ),
    "a library to preload": ({"x.so": EVIL}, {"LD_PRELOAD": "/workspace/x.so", "MOLD_WRAPPER_SO": "/workspace/x.so"}),
}


def check(run: Run) -> None:
    assert "PWNED" not in run.stdout + run.stderr
    assert run.final.state == "finished", run.final


@pytest.mark.parametrize("trick", CPP)
async def test_no_trick_makes_gcc_run_something(client: Client, trick: str) -> None:
    files, env = CPP[trick]
    run = await client.run(language="cpp", code=ANSWER, files={"evil.sh": EVIL, **files}, env=env)

    check(run)
    if run.final.stage == "run":
        assert run.stdout == "0", "nor did it do so in silence"


@pytest.mark.parametrize("name", ["main.ld", "main.o", "main.so", "main.s", "main.S", "main.specs", "main.gch"])
async def test_a_main_file_of_another_kind_is_just_that(client: Client, name: str) -> None:
    script = 'INPUT("evil.sh")\nOUTPUT(/workspace/.program)\n-wrapper sh,evil.sh\n'
    check(await client.run(language="cpp", files={name: script, "evil.sh": EVIL}))


JAVA = JAVA_MAIN % ("Main", 'System.out.println(System.getProperty("from.env"));')
JAVA_FILES = {
    "an argument file": {"@x.java": "", "x.java": "-J-XX:OnError=sh\\ evil.sh"},
    "an option": {"-J-Dfrom.env=yes.java": "", "-proc:full.java": "", "-Xplugin:x.java": ""},
    "a service": {
        "META-INF/services/javax.annotation.processing.Processor": "Evil\n",
        "META-INF/services/com.sun.source.util.Plugin": "Evil\n",
        "Evil.java": "public class Evil extends javax.annotation.processing.AbstractProcessor { static {"
        ' System.out.println("PW" + "NED"); } public boolean process(java.util.Set<? extends'
        " javax.lang.model.element.TypeElement> a, javax.annotation.processing.RoundEnvironment b) { return false; } }",
    },
}


@pytest.mark.parametrize("trick", JAVA_FILES)
async def test_no_file_makes_javac_run_something(client: Client, trick: str) -> None:
    run = await client.run(language="java", code=JAVA, files={"evil.sh": EVIL, **JAVA_FILES[trick]})

    check(run)
    if run.final.stage == "run":
        assert run.stdout == "null\n"


@pytest.mark.parametrize("variable", ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"])
async def test_variables_are_for_the_program(client: Client, variable: str) -> None:
    """As on one's own machine; the machine that compiles does not see them, and says nothing."""
    run = await client.run(language="java", code=JAVA, env={variable: "-Dfrom.env=yes"})

    assert run.outcome == ("yes\n", f"Picked up {variable}: -Dfrom.env=yes\n", "run: exit 0"), "once"
    assert "compiling" in run.state_names


async def test_not_even_those_of_the_command_that_starts_java(client: Client) -> None:
    options = "-XX:OnOutOfMemoryError='sh evil.sh' -Xmx1m"
    run = await client.run(language="java", code=JAVA, files={"evil.sh": EVIL}, env={"JDK_JAVA_OPTIONS": options})

    check(run)
    assert run.outcome == ("null\n", "", "run: exit 0")


async def test_headers_of_the_requests_choice_are_not_the_compilers(client: Client) -> None:
    code = "#include <vector>\n#include <iostream>\nint main() { std::cout << std::vector<int>{1}[0]; }"
    env = {"CPATH": "/workspace", "CPLUS_INCLUDE_PATH": "/workspace", "TMPDIR": "/workspace/x", "TERM": "dumb"}
    run = await client.run(language="cpp", code=code, files={"vector": "#error mine", "x/y": ""}, env=env)

    assert run.outcome == ("1", "", "run: exit 0")
