package trioexec;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TaskEvent;
import com.sun.source.util.TaskListener;
import com.sun.tools.javac.api.JavacTaskPool;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import javax.lang.model.element.Element;
import javax.lang.model.element.ExecutableElement;
import javax.lang.model.element.Modifier;
import javax.lang.model.element.TypeElement;
import javax.lang.model.type.ArrayType;
import javax.lang.model.type.TypeKind;
import javax.lang.model.type.TypeMirror;
import javax.lang.model.util.ElementFilter;
import javax.tools.Diagnostic;
import javax.tools.ForwardingJavaFileObject;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * Compiles a submission as javac would, with two differences: a public class and a file may have
 * any name (as {@code java --source 21 main} allows), and the main class is found rather than named.
 *
 * <p>Why not javac itself: it insists on the names of files and does not say which class to start.
 * Why not {@code java Main.java}: it knows one file only, and compiles in the run stage, so that a
 * compile error could not be told from a failed run.
 *
 * <p>The diagnostics are javac's own, byte for byte: without a listener of its own the compiler
 * writes them itself, its count of errors included.
 */
public final class Compile {

  private static final Path OUTPUT = Path.of(".build");

  /** Where the binary name of the class to start goes, for run.c. */
  private static final Path MAIN_CLASS = OUTPUT.resolve("main-class");

  // The workspace itself is on the class path of the program, for its resources, but not on
  // that of the compiler, which would pick stale or unnamed sources up from there. No submission
  // can bring an annotation processor; looking for one takes time.
  private static final List<String> OPTIONS =
      List.of("-d", OUTPUT.toString(), "-cp", OUTPUT.toString(), "-proc:none");

  /**
   * Keeps what the compiler knows of the platform's classes from one compilation to the next, as
   * long as the options are the same. In the JDK it is made for JShell.
   */
  private final JavacTaskPool tasks = new JavacTaskPool(1);

  private final JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();

  private final StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);

  private Compile() {}

  /** Compiles the files that a file lists, one a line, of which the first is the main one. */
  public static void main(String[] arguments) throws IOException {
    var errors = new PrintWriter(System.err, true);
    var tool = new Compile();
    Files.createDirectories(OUTPUT);
    if (isFifo(Path.of(arguments[0]))) {
      tool.warmUp();
    }
    List<JavaFileObject> sources = new ArrayList<>();
    for (var file : tool.files.getJavaFileObjects(read(arguments[0]).lines().toArray(String[]::new))) {
      sources.add(new AnyName(file));
    }
    var mainClass = tool.compile(sources, errors);
    if (mainClass.isPresent()) {
      // Moved, because there may be a FIFO in its place, for which the start of the program waits.
      var written = Files.writeString(OUTPUT.resolve("main-class.new"), mainClass.get());
      Files.move(written, MAIN_CLASS, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    }
    errors.flush();
    // Nothing is left to do, and halting saves the shutdown of a JVM.
    Runtime.getRuntime().halt(mainClass.isPresent() ? 0 : 1);
  }

  /** What a file holds, also where it is a FIFO: all that reads whole files seeks in them. */
  private static String read(String name) throws IOException {
    var text = new ByteArrayOutputStream();
    try (var file = new FileInputStream(name)) {
      var piece = new byte[8192];
      for (int length; (length = file.read(piece)) >= 0; ) {
        text.write(piece, 0, length);
      }
    }
    return text.toString(StandardCharsets.UTF_8);
  }

  private static boolean isFifo(Path path) throws IOException {
    return Files.readAttributes(path, BasicFileAttributes.class).isOther();
  }

  /**
   * Compiles something typical, and forgets it: the program is not there yet, and this makes its
   * own compilation several times faster.
   */
  private void warmUp() throws IOException {
    for (int round = 0; round < WARM_UP_ROUNDS; round++) {
      for (var program : WARM_UP_PROGRAMS) {
        compile(List.of(program), new PrintWriter(Writer.nullWriter()));
      }
    }
    try (var left = Files.newDirectoryStream(OUTPUT, "*.class")) {
      for (var path : left) {
        Files.delete(path);
      }
    }
  }

  private static final int WARM_UP_ROUNDS = 12;

  private static final List<JavaFileObject> WARM_UP_PROGRAMS =
      List.of(
          new Text(
              """
              import java.util.*;
              import java.util.stream.*;

              public class Warm {
                record Pair(String name, int value) {}
                interface Shape { double area(); }
                static class Square implements Shape {
                  private final double side;
                  Square(double side) { this.side = side; }
                  @Override public double area() { return side * side; }
                }
                public static void main(String[] args) throws Exception {
                  Scanner in = new Scanner(System.in);
                  Map<String, List<Integer>> map = new HashMap<>();
                  for (int i = 0; i < 10; i++) {
                    map.computeIfAbsent("k" + i % 3, key -> new ArrayList<>()).add(i);
                  }
                  var pairs = map.entrySet().stream()
                      .map(e -> new Pair(e.getKey(), e.getValue().size()))
                      .sorted(Comparator.comparing(Pair::name))
                      .collect(Collectors.toList());
                  StringBuilder text = new StringBuilder();
                  for (Pair pair : pairs) {
                    text.append(String.format("%s=%d%n", pair.name(), pair.value()));
                  }
                  try {
                    System.out.println(text + " " + new Square(2).area() + in.nextLine());
                  } catch (IllegalStateException | NoSuchElementException error) {
                    System.err.println(error.getMessage());
                  }
                  Thread thread = new Thread(() -> System.out.println(args.length));
                  thread.start();
                  thread.join();
                  System.out.println(switch (args.length) { case 0 -> "none"; case 1 -> "one"; default -> "many"; });
                }
              }
              """),
          new Text("class Warm { void broken() { int x = undefined; String s = 1; } }"));

  /** A source that is no file. */
  private static final class Text extends SimpleJavaFileObject {
    private final String text;

    Text(String text) {
      super(URI.create("string:///Warm.java"), Kind.SOURCE);
      this.text = text;
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return text;
    }
  }

  /**
   * Compiles sources, of which the first is the main one.
   *
   * @param errors where the compiler writes its diagnostics
   * @return the binary name of the main class, or nothing when the compilation failed
   */
  private Optional<String> compile(
      List<? extends JavaFileObject> sources, PrintWriter errors) {
    List<Diagnostic<?>> diagnostics = new ArrayList<>();
    Optional<String> found =
        tasks.getTask(
            errors, files, diagnostics::add, OPTIONS, null, sources, task -> call(task, sources, new PrintWriter(Writer.nullWriter())));
    if (found.isPresent() && diagnostics.isEmpty()) {
      return found;
    }
    // There is something to say. Once more, without a listener: then the compiler writes its
    // diagnostics itself. The pool's tasks can't do without one.
    var task = compiler.getTask(errors, files, null, OPTIONS, null, sources);
    return call(task, sources, errors);
  }

  /** Performs a task; returns as {@code compile} does. */
  private static Optional<String> call(
      JavaCompiler.CompilationTask task,
      List<? extends JavaFileObject> sources,
      PrintWriter errors) {
    var finder = new MainClassFinder((JavacTask) task, sources);
    ((JavacTask) task).addTaskListener(finder);
    if (!task.call()) {
      return Optional.empty();
    }
    var found = finder.mainClass();
    if (found.isEmpty()) {
      errors.println("error: no class declared in source file");
    }
    return found;
  }

  /** A source file of any name, whose public class may have any name. */
  private static final class AnyName extends ForwardingJavaFileObject<JavaFileObject> {
    AnyName(JavaFileObject file) {
      super(file);
    }

    @Override
    public Kind getKind() {
      return Kind.SOURCE;
    }

    @Override
    public boolean isNameCompatible(String simpleName, Kind kind) {
      // Asked also with package-info and module-info, which are no classes: true would make every
      // file one of those.
      return simpleName.endsWith("-info")
          ? super.isNameCompatible(simpleName, kind)
          : kind == Kind.SOURCE;
    }
  }

  /**
   * Watches a compilation for the class to start: the first top-level type of the main file that
   * has a {@code public static void main(String[])}, inherited ones included; where it has none,
   * that of the first other file that has one; where none has, the main file's first type, so that
   * {@code java} itself says what is wrong with it.
   */
  private static final class MainClassFinder implements TaskListener {
    private final JavacTask task;
    private final List<? extends JavaFileObject> files;
    private final Set<String> startable = new HashSet<>();
    private final Map<URI, CompilationUnitTree> units = new HashMap<>();

    MainClassFinder(JavacTask task, List<? extends JavaFileObject> files) {
      this.task = task;
      this.files = files;
    }

    @Override
    public void finished(TaskEvent event) {
      switch (event.getKind()) {
        // By name, because the compiler wraps the file objects that it is given.
        case PARSE -> units.put(event.getSourceFile().toUri(), event.getCompilationUnit());
        case ANALYZE -> {
          // Asked here and not in the end: code generation takes the types apart.
          var type = event.getTypeElement();
          if (type != null && hasMain(type)) {
            startable.add(type.getQualifiedName().toString());
          }
        }
        default -> {}
      }
    }

    Optional<String> mainClass() {
      List<String> declared = new ArrayList<>();
      for (var file : files) {
        declared.addAll(types(units.get(file.toUri())));
      }
      var first = types(units.get(files.get(0).toUri())).stream().findFirst();
      return declared.stream().filter(startable::contains).findFirst().or(() -> first);
    }

    /** Binary names of a file's top-level types, in the order of the source: it counts, not that of their analysis. */
    private static List<String> types(CompilationUnitTree unit) {
      var packageName = unit.getPackageName();
      var prefix = packageName == null ? "" : packageName + ".";
      List<String> names = new ArrayList<>();
      for (Tree tree : unit.getTypeDecls()) {
        if (tree instanceof ClassTree type) {
          names.add(prefix + type.getSimpleName());
        }
      }
      return names;
    }

    private boolean hasMain(TypeElement type) {
      for (var method : ElementFilter.methodsIn(task.getElements().getAllMembers(type))) {
        if (isMain(type, method)) {
          return true;
        }
      }
      return false;
    }

    private static boolean isMain(TypeElement type, ExecutableElement method) {
      Element owner = method.getEnclosingElement();
      // A static method of an interface is not inherited.
      return method.getSimpleName().contentEquals("main")
          && method.getModifiers().containsAll(Set.of(Modifier.PUBLIC, Modifier.STATIC))
          && method.getReturnType().getKind() == TypeKind.VOID
          && (owner == type || owner.getKind().isClass())
          && method.getParameters().size() == 1
          && isStringArray(method.getParameters().get(0).asType());
    }

    private static boolean isStringArray(TypeMirror type) {
      return type instanceof ArrayType array
          && array.getComponentType().toString().equals("java.lang.String");
    }
  }
}
