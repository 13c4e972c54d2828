package mayfly.fc;

import com.aliyun.fc.runtime.Context;
import com.aliyun.fc.runtime.PojoRequestHandler;
import java.util.ArrayList;
import java.util.List;

/**
 * The function with which a generic process rehearses (mayfly.Main): a little of what handlers do. It is loaded by a class loader that
 * is dropped before the process has a function.
 */
public final class Rehearsal implements PojoRequestHandler<Rehearsal.Wish, Rehearsal.Greeting> {
  public static final class Wish {
    public String name;
    public List<Integer> numbers = new ArrayList<>();
  }

  public static final class Greeting {
    public String hello;
    public int sum;
  }

  @Override
  public Greeting handleRequest(Wish wish, Context context) {
    Greeting greeting = new Greeting();
    greeting.hello = wish.name + context.getRequestId();
    for (int number : wish.numbers) greeting.sum += number;
    return greeting;
  }
}
