"""Java against the JDK itself: what `javac` and `java` say is what a session says, byte for byte."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Generator
from typing import Any

import docker
import pytest

from tests.programs import JAVA_MAIN, PROGRAMS
from tests.support import Client

# `javac` wants a file to be called like its public class; properties tell which program started the virtual machine.
ROWS = [row for row in PROGRAMS if row[1] == "java" and "class Main" in row[2] and row[0] != "the virtual machine"]


@pytest.fixture(scope="module")
def jdk(images: dict[str, str]) -> Generator[Any]:
    """A container of the image without anything of ours running in it."""
    engine = docker.from_env()
    limits = {"mem_limit": 200 * 2**20, "nano_cpus": 500_000_000, "detach": True, "auto_remove": True}
    container: Any = engine.containers.run(
        images["java"], entrypoint=["sleep"], command=["600"], environment={"LANG": "en_US.UTF-8"}, **limits
    )
    yield container
    container.remove(force=True)
    engine.close()


@pytest.mark.parametrize(("code", "stdin"), [pytest.param(*row[2:], id=row[0]) for row in ROWS])
async def test_java_is_as_the_jdk(client: Client, jdk: Any, code: str, stdin: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in {"Main.java": code, "input": stdin}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    jdk.put_archive("/workspace", buffer.getvalue())
    main = "a.b.Main" if "package a.b;" in code else "Main"
    options = "-XX:+UseSerialGC -XX:MaxRAMPercentage=50 -XX:ActiveProcessorCount=4 -Duser.home=/workspace"
    run = f"java {options} -cp .classes:. {main} < input"
    script = f"cd /workspace && rm -rf .classes && javac -proc:none -d .classes Main.java && {run}"
    exit_code, (stdout, stderr) = jdk.exec_run(["sh", "-c", script], demux=True)

    run_here = await client.run(language="java", code=code, stdin=stdin)

    expected = (stdout or b"").decode(), (stderr or b"").decode(), exit_code, None
    assert (run_here.stdout, run_here.stderr, run_here.final.exit_code, run_here.reason) == expected


IMPORTS = "import java.util.*; import java.util.concurrent.*; import java.util.stream.*; import java.util.prefs.*;\n"
SLEEP = "try { Thread.sleep(100); } catch (InterruptedException e) { throw new RuntimeException(e); }"
FITS: dict[str, tuple[str, str]] = {
    # the program, what it prints under the default limits
    "processors": (
        'System.out.println(Runtime.getRuntime().availableProcessors() + " "'
        " + ForkJoinPool.commonPool().getParallelism());",
        "4 3\n",
    ),
    "futures": (
        "var all = IntStream.range(0, 50).mapToObj(i -> CompletableFuture.supplyAsync("
        "() -> { SLEEP return i; })).toList();"
        "System.out.println(all.stream().mapToInt(CompletableFuture::join).sum());",
        "1225\n",
    ),
    "a parallel stream": (
        "System.out.println(IntStream.range(0, 100).parallel().map(i -> { SLEEP return i; }).sum());",
        "4950\n",
    ),
    "virtual threads": (
        "try (var pool = Executors.newVirtualThreadPerTaskExecutor()) {"
        "var all = IntStream.range(0, 1000).mapToObj(i -> pool.submit(() -> { SLEEP return i; })).toList();"
        "int sum = 0; for (var one : all) sum += one.get(); System.out.println(sum); }",
        "499500\n",
    ),
    "a pool of the processors' size": (
        "try (var pool = Executors.newFixedThreadPool(2 * Runtime.getRuntime().availableProcessors())) {"
        "for (int i = 0; i < 100; i++) pool.submit(() -> { SLEEP }); } System.out.println(1);",
        "1\n",
    ),
}


@pytest.mark.parametrize("name", FITS)
async def test_pools_of_threads_fit_the_limit(client: Client, name: str) -> None:
    code, printed = FITS[name]
    run = await client.run(language="java", code=IMPORTS + JAVA_MAIN % ("Main", code.replace("SLEEP", SLEEP)))

    assert run.outcome == (printed, "", "run: exit 0")


async def test_what_the_virtual_machine_says_is_not_in_the_programs_output(client: Client) -> None:
    code = (
        "try { for (;;) { var t = new Thread(() -> { SLEEP }); t.setDaemon(true); t.start(); } }"
        "catch (OutOfMemoryError e) { System.out.println(e.getMessage().substring(0, 30)); }"
    )
    run = await client.run(language="java", code=JAVA_MAIN % ("Main", code.replace("SLEEP", SLEEP)))

    assert (run.stdout, run.ending) == ("unable to create native thread\n", "run: exit 0")
    assert run.stderr.startswith("[warning][os,thread")


PREFERENCES = """
    for (var node : List.of(Preferences.userRoot(), Preferences.userNodeForPackage(Main.class).node("x"))) {
        node.put("key", "value"); node.flush(); node.sync(); System.out.println(node.get("key", "none"));
    }
    Preferences.systemRoot().sync();
    System.out.println(Preferences.systemRoot().get("key", "none"));
"""
FORMATS = """
    System.out.println(Locale.getDefault() + " " + Currency.getInstance(Locale.getDefault()));
    System.out.println(java.text.NumberFormat.getCurrencyInstance().format(1234.5));
    System.out.printf("%,.2f %s%n", 1234567.891, java.nio.charset.Charset.defaultCharset());
    System.out.println(java.time.DayOfWeek.MONDAY.getDisplayName(java.time.format.TextStyle.FULL, Locale.getDefault()));
    System.out.println(String.format(Locale.GERMANY, "%,.2f", 1234.5) + " \u00e4\u20ac");
"""
DRAWING = """
    var picture = new java.awt.image.BufferedImage(100, 30, java.awt.image.BufferedImage.TYPE_INT_RGB);
    var graphics = picture.createGraphics();
    for (var font : List.of("Serif", "SansSerif", "Monospaced")) {
        graphics.setFont(new java.awt.Font(font, java.awt.Font.PLAIN, 14));
        graphics.drawString("hello", 5, 20);
        System.out.print(graphics.getFontMetrics().stringWidth("hello") > 20 ? "wide " : "narrow ");
    }
    var colours = IntStream.range(0, 3000).map(i -> picture.getRGB(i % 100, i / 100)).distinct().count();
    System.out.println(colours > 1 ? "drawn" : "black");
    javax.imageio.ImageIO.write(picture, "png", new java.io.File("picture.png"));
    System.out.println(new java.io.File("picture.png").length() > 0);
"""
AT_HOME: dict[str, tuple[str, str]] = {
    "home": (
        'var saved = java.nio.file.Path.of(System.getProperty("user.home"), "save.txt");'
        'java.nio.file.Files.writeString(saved, "x"); System.out.println(saved);',
        "/workspace/save.txt\n",
    ),
    "preferences": (PREFERENCES, "value\nvalue\nnone\n"),
    "formats": (FORMATS, "en_US USD\n$1,234.50\n1,234,567.89 UTF-8\nMonday\n1.234,50 ä€\n"),
    "text in pictures": (DRAWING, "wide wide wide drawn\ntrue\n"),
}


@pytest.mark.parametrize("name", AT_HOME)
async def test_programs_find_what_they_have_at_home(client: Client, name: str) -> None:
    code, printed = AT_HOME[name]
    run = await client.run(language="java", code=IMPORTS + JAVA_MAIN % ("Main", code))

    assert run.outcome == (printed, "", "run: exit 0")


@pytest.mark.parametrize(
    "window",
    [
        'javax.swing.JOptionPane.showMessageDialog(null, "x");',
        'javax.swing.JOptionPane.showInputDialog("x");',
        'new javax.swing.JFrame("x");',
        "new javax.swing.JFileChooser().showOpenDialog(null);",
        'new java.awt.FileDialog(new java.awt.Frame(), "x");',
    ],
)
async def test_a_window_says_that_there_is_no_display(client: Client, window: str) -> None:
    run = await client.run(language="java", code=JAVA_MAIN % ("Main", window))

    assert run.ending == "run: exit 1"
    assert run.stderr.startswith('Exception in thread "main" java.awt.HeadlessException: \nNo X11 DISPLAY')


async def test_drawing_leaves_no_files_of_ours(client: Client) -> None:
    listing = """
        try (var files = java.nio.file.Files.list(java.nio.file.Path.of("."))) {
            System.out.println(files.map(it -> it.getFileName().toString()).sorted().toList());
        }
    """
    run = await client.run(language="java", code=IMPORTS + JAVA_MAIN % ("Main", DRAWING + listing))

    assert run.stdout.splitlines()[-1] == "[.build, .java, .tmp, Main.java, picture.png]"
