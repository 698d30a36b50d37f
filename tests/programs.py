"""Programs that behave in all sorts of ways, for tests that run each of them twice and compare."""

from __future__ import annotations

JAVA_MAIN = "public class %s { public static void main(String[] args) throws Exception { %s } }"

PROGRAMS: list[tuple[str, str, str, str]] = [
    # name, language, code, stdin
    ("hello", "python", "print('hello')", ""),
    ("empty", "python", "", ""),
    ("only a comment", "python", "# -*- coding: utf-8 -*-", ""),
    ("latin-1", "python", "# -*- coding: latin-1 -*-\nprint('caf\u00e9'.encode())", ""),
    ("a byte order mark", "python", "\ufeffprint('mark')", ""),
    ("no newline at the end", "python", "print(1)\nprint(2)", ""),
    ("windows newlines", "python", "print('''a\r\nb''')\r\nprint(2)\r\n", ""),
    ("longer than a pipe", "python", f"x = '''{'y' * 200_000}'''\nprint(len(x))", ""),
    ("much longer", "python", "x = 0\n" + "x += 1\n" * 60_000 + "print(x)", ""),
    ("syntax error", "python", "print('a')\nprint('b'\nx = = 3", ""),
    ("indentation error", "python", "if 1:\nprint(2)", ""),
    ("uncaught error", "python", "def f():\n    return {}['key']\n\nf()", ""),
    ("a chain of errors", "python", "try:\n    1/0\nexcept Exception as e:\n    raise ValueError('x') from e", ""),
    ("exit codes", "python", "import sys\nsys.exit(42)", ""),
    ("exit with words", "python", "raise SystemExit('bye')", ""),
    ("input", "python", "for _ in range(2): print(repr(input('? ')))", "a\nb\n"),
    ("end of input", "python", "input()", ""),
    (
        "names",
        "python",
        "print(__name__, __file__, __builtins__)\nimport sys\nprint(sys.argv, sys.path, sys.flags)",
        "",
    ),
    ("source", "python", "import inspect, sys\nprint(inspect.getsource(sys.modules['__main__']))", ""),
    ("itself", "python", "print(open(__file__).read())\nimport os\nprint(sorted(os.listdir('.')))", ""),
    ("main module again", "python", "if __name__ == '__main__':\n    import main\nprint(__name__)", ""),
    (
        "processes",
        "python",
        "from multiprocessing import Pool\nif __name__ == '__main__':\n    print(Pool(2).map(abs, [-1]))",
        "",
    ),
    ("environment", "python", "import os\nfor item in sorted(os.environ.items()): print(item)", ""),
    ("limits", "python", "import resource\nprint([resource.getrlimit(i) for i in range(16)])", ""),
    ("descriptors", "python", "import os\nprint(sorted(os.listdir('/proc/self/fd'))[:3])", ""),
    ("killed by itself", "python", "import os\nprint(1, flush=True)\nos.kill(os.getpid(), 9)", ""),
    (
        "streams",
        "python",
        "import sys\nprint(sys.stdin, sys.stdout, sys.stderr, sys.stdin.buffer.raw, sys.stdout.line_buffering)",
        "",
    ),
    (
        "a prompt before each way to read",
        "python",
        "import sys\nprint(1, end='')\nprint(sys.stdin.readline(), end='')\nprint(list(sys.stdin))",
        "a\nb\nc",
    ),
    ("locale", "python", "import locale\nprint(locale.setlocale(locale.LC_ALL, ''), locale.currency(1.5))", ""),
    ("processors", "python", "import os\nprint(os.cpu_count(), os.environ['PYTHON_CPU_COUNT'])", ""),
    ("null bytes", "python", "print('a\\0b')", ""),
    ("hello", "javascript", "console.log('hello')", ""),
    ("empty", "javascript", "", ""),
    ("syntax error", "javascript", "console.log(1", ""),
    ("uncaught error", "javascript", "function f() { null.x }\nf()", ""),
    ("rejection", "javascript", "Promise.reject(new Error('no'))", ""),
    ("exit code", "javascript", "process.exitCode = 9", ""),
    ("strict mode", "javascript", "'use strict'; try { undeclared = 1 } catch (e) { console.log(e.message) }", ""),
    (
        "an ES module",
        "javascript",
        "import fs from 'node:fs';\nconsole.log(fs.existsSync('main.js'), import.meta.url)",
        "",
    ),
    ("top-level await", "javascript", "const x = await Promise.resolve(3);\nconsole.log(x)", ""),
    ("names", "javascript", "console.log(__filename, process.argv, require.main === module, module.paths)", ""),
    (
        "itself",
        "javascript",
        "console.log(require('fs').readFileSync(__filename, 'utf8'), require('fs').readdirSync('.'))",
        "",
    ),
    ("longer than a pipe", "javascript", f"const x = '{'y' * 300_000}'; console.log(x.length)", ""),
    ("input", "javascript", "process.stdin.on('data', (d) => console.log(String(d)))", "a\nb\n"),
    (
        "lines",
        "javascript",
        "require('readline').createInterface({input: process.stdin}).on('line', console.log)",
        "a\nb",
    ),
    ("a stack", "javascript", "console.log(new Error('here').stack, require('module').prototype._compile.name)", ""),
    (
        "a stack in a module",
        "javascript",
        "import fs from 'fs';\nconsole.log(new Error('here').stack, fs.readFileSync.name)",
        "",
    ),
    ("options", "javascript", "console.log(process.execArgv, process.argv0, process.title)", ""),
    ("environment", "javascript", "console.log(process.env, process.ppid)", ""),
    ("network interfaces", "javascript", "console.log(require('os').networkInterfaces().lo[0])", ""),
    (
        "processors",
        "javascript",
        "const os = require('os');\nconsole.log(os.cpus().length, os.availableParallelism())",
        "",
    ),
    (
        "moments",
        "javascript",
        "const own = (it) => Object.getOwnPropertyNames(it);\nconsole.log(own(performance), own(Object.getPrototypeOf(performance)), own(performance.nodeTiming), performance.mark('a', { detail: 3, startTime: 5 }), own(process))",
        "",
    ),
    (
        "wrong moments",
        "javascript",
        "for (const f of [() => performance.mark(), () => performance.mark('a', 3), () => performance.measure(), () => performance.measure('a', 'none'), () => performance.measure('a', { start: 1, end: 2, duration: 3 })]) try { f() } catch (e) { console.log(e.name, e.code, e.message) }",
        "",
    ),
    ("more than a pipe holds", "javascript", "console.log('x'.repeat(300_000)); process.exit(3)", ""),
    ("hashbang", "javascript", "#!/usr/bin/env node\nconsole.log('bang')", ""),
    ("hello", "java", JAVA_MAIN % ("Main", 'System.out.println("hello");'), ""),
    ("another name", "java", JAVA_MAIN % ("Other", 'System.out.println("other");'), ""),
    ("a package", "java", "package a.b;\n" + JAVA_MAIN % ("Main", "System.out.println(Main.class);"), ""),
    (
        "two classes",
        "java",
        "class Helper { static int f() { return 3; } }\n" + JAVA_MAIN % ("X", "System.out.println(Helper.f());"),
        "",
    ),
    (
        "record and lambda",
        "java",
        "record P(int x) {}\n" + JAVA_MAIN % ("X", "Runnable r = () -> System.out.println(new P(1)); r.run();"),
        "",
    ),
    ("uncaught error", "java", JAVA_MAIN % ("Main", "int[] a = {}; System.out.println(a[3]);"), ""),
    (
        "in a thread",
        "java",
        JAVA_MAIN % ("Main", 'var t = new Thread(() -> { throw new RuntimeException("t"); }); t.start(); t.join();'),
        "",
    ),
    (
        "daemon",
        "java",
        JAVA_MAIN
        % (
            "Main",
            'var t = new Thread(() -> { while (true); }); t.setDaemon(true); t.start(); System.out.println("end");',
        ),
        "",
    ),
    (
        "not a daemon",
        "java",
        JAVA_MAIN
        % (
            "Main",
            'new Thread(() -> { try { Thread.sleep(200); } catch (Exception e) {} System.out.println("late"); }).start();',
        ),
        "",
    ),
    (
        "exit in a static initialiser",
        "java",
        "class Main { static { System.exit(5); } public static void main(String[] a) {} }",
        "",
    ),
    (
        "stack overflow",
        "java",
        "class Main { static int f(int n) { return f(n + 1) + 1; } public static void main(String[] a) { try { f(0); } catch (StackOverflowError e) { System.out.println(e.getClass()); } } }",
        "",
    ),
    ("compile errors", "java", 'class Main { void f() { int x = "a"; undefined(); } }', ""),
    ("a syntax error", "java", "class Main {", ""),
    (
        "a warning",
        "java",
        "import java.util.*;\n" + JAVA_MAIN % ("Main", "List l = new ArrayList(); l.add(1); System.out.println(l);"),
        "",
    ),
    ("no main", "java", "class Main {}", ""),
    ("nothing", "java", "", ""),
    (
        "scanner",
        "java",
        "import java.util.*;\n"
        + JAVA_MAIN % ("Main", "var s = new Scanner(System.in); System.out.println(s.nextInt() + s.nextInt());"),
        "3 4\n",
    ),
    (
        "reader",
        "java",
        "import java.io.*;\n"
        + JAVA_MAIN % ("Main", "System.out.println(new BufferedReader(new InputStreamReader(System.in)).readLine());"),
        "line\n",
    ),
    (
        "longer than a pipe",
        "java",
        "/*" + "x" * 200_000 + "*/" + JAVA_MAIN % ("Main", "System.out.println(1);"),
        "",
    ),
    (
        "the virtual machine",
        "java",
        JAVA_MAIN
        % (
            "Main",
            """
            System.out.println(Runtime.getRuntime().maxMemory() + " " + Runtime.getRuntime().availableProcessors());
            System.out.println(Thread.currentThread() + " " + Main.class.getClassLoader().getName());
            for (var name : System.getProperties().stringPropertyNames().stream().sorted().toList())
                System.out.println(name + "=" + System.getProperty(name));
            """,
        ),
        "",
    ),
    (
        "the stack",
        "java",
        JAVA_MAIN
        % (
            "Main",
            """
            for (var frame : Thread.currentThread().getStackTrace()) System.out.println(frame);
            System.out.println(StackWalker.getInstance().walk(frames -> frames.count()));
            Thread.getAllStackTraces().keySet().stream().map(Thread::getName).sorted().forEach(System.out::println);
            throw new IllegalStateException("one", new java.io.IOException("two"));
            """,
        ),
        "",
    ),
    (
        "what is in the workspace",
        "java",
        """import java.nio.file.*;
        class Files_ { public static void main(String[] a) throws Exception {
            try (var all = Files.walk(Path.of("."))) {
                all.sorted().forEach(path -> System.out.println(path + " " + Files.isRegularFile(path)));
            }
            System.out.println(Files.readString(Path.of("Main.java")).length());
        } }""",
        "",
    ),
    (
        "an error in main while a thread runs on",
        "java",
        JAVA_MAIN
        % (
            "Main",
            'new Thread(() -> { try { Thread.sleep(300); } catch (Exception e) {} System.out.println("on"); }).start();'
            'throw new Exception("main");',
        ),
        "",
    ),
    (
        "hooks",
        "java",
        JAVA_MAIN
        % (
            "Main",
            'Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));'
            "Thread.setDefaultUncaughtExceptionHandler((t, e) -> { System.out.println(t.getName() + e); });"
            'throw new Exception("x");',
        ),
        "",
    ),
    (
        "an error in a static initialiser",
        "java",
        "class M { static int x = 1 / 0; public static void main(String[] a) {} }",
        "",
    ),
    ("halted", "java", JAVA_MAIN % ("Main", "Runtime.getRuntime().halt(7);"), ""),
    (
        "out of heap",
        "java",
        JAVA_MAIN % ("Main", "var all = new java.util.ArrayList<long[]>(); while (true) all.add(new long[100_000]);"),
        "",
    ),
    ("main in an enum", "java", "enum E { A; public static void main(String[] a) { System.out.println(A); } }", ""),
    ("main in an interface", "java", "interface I { static void main(String[] a) { System.out.println(1); } }", ""),
    ("main is inherited", "java", "class A extends B {} " + JAVA_MAIN[7:] % ("B", "System.out.println(2);"), ""),
    ("main is not static", "java", "class A { public void main(String[] a) {} }", ""),
    ("main returns something", "java", "class A { public static int main(String[] a) { return 1; } }", ""),
    ("a name beyond ASCII", "java", JAVA_MAIN % ("Größe", "System.out.println(Größe.class);"), ""),
    (
        "names that are not there",
        "java",
        JAVA_MAIN % ("Main", "Warm w = new Warm(); Warm.Pair p; Compile c; foo.Bar b;"),
        "",
    ),
    (
        "its own class of the JDK's name",
        "java",
        "class String { } class Warm { public static void main(java.lang.String[] a) { System.out.println(new String().getClass()); } }",
        "",
    ),
    (
        "more errors than are told",
        "java",
        "class Main {" + "".join(f" int f{i}() {{ return x{i}; }}\n" for i in range(120)) + "}",
        "",
    ),
    (
        "deprecation",
        "java",
        JAVA_MAIN % ("Main", "new Integer(3); Thread.currentThread().getId(); System.out.println(1);"),
        "",
    ),
    (
        "a warning and an error",
        "java",
        "import java.util.*;\n" + JAVA_MAIN % ("Main", "List l = new ArrayList(); l.add(1); int x = l;"),
        "",
    ),
    ("an empty package", "java", "package p;", ""),
    ("duplicate classes", "java", "class A {} class A {}", ""),
    ("preview", "java", "void main() { System.out.println(1); }", ""),
    (
        "processors",
        "java",
        JAVA_MAIN
        % (
            "Main",
            "System.out.println(Runtime.getRuntime().availableProcessors());"
            "System.out.println(java.util.concurrent.ForkJoinPool.commonPool().getParallelism());",
        ),
        "",
    ),
    (
        "formats",
        "java",
        JAVA_MAIN
        % (
            "Main",
            "System.out.println(java.util.Locale.getDefault());"
            "System.out.println(java.text.NumberFormat.getCurrencyInstance().format(1234.5));"
            'System.out.println(System.getProperty("user.home"));',
        ),
        "",
    ),
    ("a window", "java", JAVA_MAIN % ("Main", 'javax.swing.JOptionPane.showMessageDialog(null, "x");'), ""),
    (
        "text in a picture",
        "java",
        JAVA_MAIN
        % (
            "Main",
            "var picture = new java.awt.image.BufferedImage(100, 30, java.awt.image.BufferedImage.TYPE_INT_RGB);"
            'picture.createGraphics().drawString("hello", 5, 20);'
            "System.out.println(picture.getRGB(8, 15));",
        ),
        "",
    ),
    ("hello", "cpp", "#include <iostream>\nint main() { std::cout << 1; return 3; }", ""),
    ("compile error", "cpp", "#include <vector>\nint main() { std::string s; }", ""),
    (
        "formats",
        "cpp",
        "#include <iomanip>\n#include <iostream>\n#include <locale>\n"
        'int main() { std::cout.imbue(std::locale("en_US.UTF-8")); std::cout << std::fixed << std::setprecision(2)\n'
        '<< 1234567.891 << " " << std::showbase << std::put_money(123450) << "\\n"; }',
        "",
    ),
]
