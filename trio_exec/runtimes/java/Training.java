import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A program that uses what programs commonly use. The image compiles and runs it once while it is
 * built, to learn which classes of the compiler and of the library belong into the shared archives.
 */
public class Training {
  sealed interface Shape permits Circle, Square {}

  record Circle(double radius) implements Shape {}

  record Square(double side) implements Shape {}

  enum Colour {
    RED,
    GREEN,
    BLUE
  }

  static double area(Shape shape) {
    return switch (shape) {
      case Circle(double radius) -> Math.PI * radius * radius;
      case Square(double side) -> side * side;
    };
  }

  static <T extends Comparable<T>> T largest(List<T> values) {
    T best = values.get(0);
    for (T value : values) {
      if (value.compareTo(best) > 0) {
        best = value;
      }
    }
    return best;
  }

  public static void main(String[] args) throws Exception {
    System.out.print("What is your name? ");
    Scanner scanner = new Scanner(System.in);
    String name = scanner.nextLine();
    int number = scanner.nextInt();
    double real = scanner.nextDouble();
    System.out.println("Hello, " + name + ", " + number + " and " + real + "!");
    System.out.printf("%d %5.2f %s %x%n", number, real, name, number);
    System.out.println(String.format("%-10s|%05d", name, number));
    System.out.println("\u001b[32mgr\u00fcn\u001b[0m " + String.join(",", List.of("a", "b")));

    List<Integer> numbers = new ArrayList<>(List.of(3, 1, 2));
    Collections.sort(numbers);
    numbers.sort(Comparator.reverseOrder());
    System.out.println(largest(numbers) + " " + numbers);
    Map<String, Integer> counts = new TreeMap<>();
    for (String word : "the quick brown fox the end".split(" ")) {
      counts.merge(word, 1, Integer::sum);
    }
    Map<Integer, List<String>> byLength =
        counts.keySet().stream().collect(Collectors.groupingBy(String::length));
    System.out.println(counts + " " + byLength + " " + new HashSet<>(byLength.keySet()));
    System.out.println(
        IntStream.rangeClosed(1, 10)
            .filter(i -> i % 2 == 0)
            .mapToObj(Integer::toString)
            .collect(Collectors.joining(", ", "[", "]")));
    Function<Integer, Integer> twice = x -> x * 2;
    System.out.println(numbers.stream().map(twice).reduce(0, Integer::sum));
    System.out.println(Optional.of("x").map(String::toUpperCase).orElse("none"));
    System.out.println(area(new Circle(1)) + area(new Square(2)));
    System.out.println(Arrays.toString(new int[] {1, 2}) + Arrays.asList(Colour.values()));
    System.out.println(new StringBuilder("abc").reverse());
    System.out.println(Pattern.compile("(\\w+)@(\\w+)").matcher("a@b").matches());
    System.out.println(new Random(7).nextInt(6) + new LinkedList<>(numbers).getFirst());
    PriorityQueue<Integer> queue = new PriorityQueue<>(numbers);
    System.out.println(queue.poll() + " " + Duration.ofSeconds(90));
    System.out.println(new LinkedHashMap<>(Map.of("key", 1)) + " " + new HashMap<>(counts));

    Thread thread = new Thread(() -> System.out.println("thread"));
    thread.start();
    thread.join();
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      System.out.println(executor.submit(() -> 42).get());
    }
    System.out.println(CompletableFuture.supplyAsync(() -> "future").join());
    System.out.println(IntStream.range(0, 100).parallel().sum());
    System.out.println(new ConcurrentHashMap<>(counts).size());
    Thread.sleep(1);

    BufferedReader reader = new BufferedReader(new InputStreamReader(System.in));
    System.out.println(reader.readLine());
    try {
      Object text = "text";
      System.out.println((Integer) text);
    } catch (ClassCastException problem) {
      problem.printStackTrace();
    }
    throw new IllegalStateException("an uncaught one, for its trace");
  }
}
