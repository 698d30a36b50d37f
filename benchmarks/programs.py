"""What is measured: hello world in each language, and how it is run without trio-exec."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """One language's hello world.

    Attributes:
        language: its name in the API.
        file: the main file's name.
        code: its text.
        shell: how a person runs it in a shell, in the language's image.
    """

    language: str
    file: str
    code: str
    shell: str


PROGRAMS = [
    Program("python", "main.py", "print('hello')\n", "python3 main.py"),
    Program("javascript", "main.js", "console.log('hello')\n", "node main.js"),
    Program(
        "java",
        "Main.java",
        'public class Main {\n  public static void main(String[] args) {\n    System.out.println("hello");\n  }\n}\n',
        "javac -d .build Main.java && java -cp .build Main",
    ),
    Program(
        "cpp",
        "main.cpp",
        "#include <algorithm>\n#include <iostream>\n#include <vector>\n"
        'int main() {\n  std::vector<int> v{2, 1};\n  std::sort(v.begin(), v.end());\n  std::cout << "hello\\n";\n}\n',
        "g++ -std=gnu++20 -O2 -o program main.cpp && ./program",
    ),
]
