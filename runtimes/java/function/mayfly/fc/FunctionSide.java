package mayfly.fc;

import com.aliyun.fc.runtime.Context;
import com.aliyun.fc.runtime.FunctionInitializer;
import com.aliyun.fc.runtime.HttpRequestHandler;
import com.aliyun.fc.runtime.PojoRequestHandler;
import com.aliyun.fc.runtime.PreFreezeHandler;
import com.aliyun.fc.runtime.PreStopHandler;
import com.aliyun.fc.runtime.StreamRequestHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import mayfly.Bridge;

/**
 * The far side of the bridge, in the function's own class loader: finds what a handler string "package.Class::method" names and calls it
 * as what it is: by its interface when the method is the interface's, else by its parameters.
 */
public final class FunctionSide implements Bridge {
  private final About about;
  private final Mapper mapper;
  private final Map<String, Object> objects = new HashMap<>();  // one of each class: handler and hooks of a class share their state
  private final Target handler;

  private static final class Target {
    Object object;
    Method method;
  }

  public FunctionSide(About about, Mapper mapper) throws Exception {
    this.about = about;
    this.mapper = mapper;
    this.handler = find(about.handler, "handleRequest");
  }

  private Target find(String name, String usual) throws Exception {
    int colons = name.indexOf("::");
    String className = colons < 0 ? name : name.substring(0, colons);
    String methodName = colons < 0 ? usual : name.substring(colons + 2);
    Target target = new Target();
    Class<?> type;
    try {
      type = Class.forName(className, true, getClass().getClassLoader());
    } catch (ClassNotFoundException absent) {
      String form = colons < 0 ? "; a handler is 'package.Class::method'" : "";
      throw new ClassNotFoundException("the package has no class " + className + ", which the handler '" + name + "' names" + form, absent);
    }
    target.object = objects.get(className);
    if (target.object == null) {
      try {
        target.object = type.getDeclaredConstructor().newInstance();
      } catch (InvocationTargetException wrapped) {
        throw wrapped.getCause() instanceof Exception ? (Exception) wrapped.getCause() : wrapped;
      }
      objects.put(className, target.object);
    }
    target.method = Arrays.stream(type.getMethods())
        .filter(each -> each.getName().equals(methodName) && !each.isBridge())
        .max(java.util.Comparator.comparingInt(Method::getParameterCount))
        .orElseThrow(() -> new NoSuchMethodException("class " + className + " has no public method " + methodName + ", which the handler '" + name + "' names"));
    return target;
  }

  private Context context(Invocation invocation) {
    return new CallContext(about, invocation);
  }

  @Override
  public void initialize(Invocation invocation) throws Throwable {
    Target target = find(about.initializer, "initialize");
    if (target.object instanceof FunctionInitializer && target.method.getName().equals("initialize")) ((FunctionInitializer) target.object).initialize(context(invocation));
    else call(target, context(invocation));
  }

  @Override
  public void hook(String name, boolean stop, Invocation invocation) throws Throwable {
    Target target = find(name, stop ? "preStop" : "preFreeze");
    if (stop && target.object instanceof PreStopHandler && target.method.getName().equals("preStop")) ((PreStopHandler) target.object).preStop(context(invocation));
    else if (!stop && target.object instanceof PreFreezeHandler && target.method.getName().equals("preFreeze")) ((PreFreezeHandler) target.object).preFreeze(context(invocation));
    else call(target, context(invocation));
  }

  @Override
  public void handle(InputStream event, OutputStream result, Invocation invocation) throws Throwable {
    Class<?>[] takes = handler.method.getParameterTypes();
    boolean streams = takes.length >= 2 && takes[0] == InputStream.class && takes[1] == OutputStream.class;
    if (streams && handler.object instanceof StreamRequestHandler && handler.method.getName().equals("handleRequest")) {
      ((StreamRequestHandler) handler.object).handleRequest(event, result, context(invocation));
    } else if (streams) {
      call(handler, event, result, context(invocation));
    } else {
      pojo(event, result, invocation);
    }
  }

  @SuppressWarnings("unchecked")
  private void pojo(InputStream event, OutputStream result, Invocation invocation) throws Throwable {
    Type wanted = handler.method.getGenericParameterTypes().length > 0 ? handler.method.getGenericParameterTypes()[0] : Object.class;
    Object input = read(event, wanted);
    Object output;
    if (handler.object instanceof PojoRequestHandler && handler.method.getName().equals("handleRequest")) {
      output = ((PojoRequestHandler<Object, Object>) handler.object).handleRequest(input, context(invocation));
    } else {
      output = call(handler, input, context(invocation));
    }
    if (output instanceof byte[]) result.write((byte[]) output);
    else if (output instanceof String) result.write(((String) output).getBytes(StandardCharsets.UTF_8));
    else result.write(mapper.write(output).getBytes(StandardCharsets.UTF_8));
  }

  private Object read(InputStream event, Type wanted) throws IOException {
    byte[] bytes = event.readAllBytes();
    if (wanted == byte[].class) return bytes;
    String text = new String(bytes, StandardCharsets.UTF_8);
    if (wanted != String.class) return mapper.read(text, wanted);
    // A string may be sent as JSON or as it is.
    return text.startsWith("\"") && text.endsWith("\"") && text.length() > 1 ? mapper.read(text, String.class) : text;
  }

  @Override
  public void handleHttp(Exchange exchange, Invocation invocation) throws Throwable {
    HttpCall request = new HttpCall(exchange);
    HttpReply response = new HttpReply(exchange);
    if (handler.object instanceof HttpRequestHandler && handler.method.getName().equals("handleRequest")) {
      ((HttpRequestHandler) handler.object).handleRequest(request.servlet(), response.servlet(), context(invocation));
    } else {
      call(handler, request.servlet(), response.servlet(), context(invocation));
    }
    response.finish();
  }

  /** Calls with as many of the arguments as the method takes. */
  private static Object call(Target target, Object... arguments) throws Throwable {
    try {
      return target.method.invoke(target.object, Arrays.copyOf(arguments, target.method.getParameterCount()));
    } catch (InvocationTargetException wrapped) {
      throw wrapped.getCause();
    }
  }
}
