package mayfly;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;

/**
 * What passes between the runtime and the function's own class loader: only types of the JDK, since each side has its own copies of all
 * other libraries. The far side is mayfly.fc.FunctionSide.
 */
public interface Bridge {
  /** Everything a handler may ask of its invocation. */
  final class Invocation {
    public String requestId = "";
    public String[] credentials = {"", "", ""};
    public int retries;
  }

  /** What is the same for all invocations of an instance. */
  final class About {
    public String functionName, handler, initializer, serviceName, logProject, logStore, qualifier, versionId, region, account;
    public int timeoutSeconds, memoryMb;
  }

  /** A call of an HTTP function; the answer goes through the setters and the stream. */
  interface Exchange {
    String method();
    String path();
    String requestUri();
    String clientIp();
    String host();
    Map<String, List<String>> queries();
    Map<String, List<String>> headers();
    InputStream body();
    void status(int status);
    void header(String name, List<String> values);
    OutputStream answer();
    /** Forgets what was written; before the first flush. */
    void clear();
    /** Sends the head now; what is written from then on is streamed. */
    void flush() throws IOException;
  }

  void initialize(Invocation invocation) throws Throwable;
  void handle(InputStream event, OutputStream result, Invocation invocation) throws Throwable;
  void handleHttp(Exchange exchange, Invocation invocation) throws Throwable;
  void hook(String handler, boolean stop, Invocation invocation) throws Throwable;

  /** JSON to and from the function's own classes; the runtime's side provides it. */
  interface Mapper {
    Object read(String json, java.lang.reflect.Type type);
    String write(Object value);
  }
}
