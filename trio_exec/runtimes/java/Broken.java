import java.util.List;

/** Does not compile: the counterpart of Training, for the classes that write diagnostics. */
public class Broken {
  public static void main(String[] args) {
    int number = "text";
    List<String> names = List.of(1, 2);
    undefined(names.size() + number)
  }
}
