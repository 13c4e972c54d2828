package mayfly;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;

/** {errorMessage, errorType, stackTrace: [line, ...], cause}, without the runtime's own frames (aliyun-fc.md section 6). */
final class Errors {
  private Errors() {}

  static byte[] body(Throwable failure) {
    return describe(unwrapped(failure), 0).toString().getBytes(StandardCharsets.UTF_8);
  }

  /** Of a result that is too long for a reply. */
  static byte[] tooLarge(int size) {
    JsonObject out = new JsonObject();
    out.addProperty("errorMessage", "The result has " + size + " bytes; at most " + Frames.MAX_PAYLOAD_BYTES + " can be answered at once, stream it instead");
    out.addProperty("errorType", "ResultTooLarge");
    out.add("stackTrace", new JsonArray());
    return out.toString().getBytes(StandardCharsets.UTF_8);
  }

  /** The same of one that has run out of memory, with what to do about it. */
  static byte[] outOfMemory(OutOfMemoryError failure, int memoryMb) {
    JsonObject out = describe(failure, 0);
    long heapMb = Runtime.getRuntime().maxMemory() >> 20;
    out.addProperty("errorMessage", failure.getMessage() + " (the heap is " + heapMb + " MB of the function's " + memoryMb + " MB: raise its memorySize)");
    return out.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static Throwable unwrapped(Throwable failure) {
    while (failure instanceof java.lang.reflect.InvocationTargetException && failure.getCause() != null) failure = failure.getCause();
    return failure;
  }

  private static JsonObject describe(Throwable failure, int depth) {
    JsonObject out = new JsonObject();
    out.addProperty("errorMessage", failure.getMessage() == null ? failure.getClass().getName() : failure.getMessage());
    out.addProperty("errorType", failure.getClass().getName());
    JsonArray stack = new JsonArray();
    for (StackTraceElement frame : failure.getStackTrace()) {
      String name = frame.getClassName();
      if (name.startsWith("mayfly.") || name.startsWith("jdk.internal.reflect.") || name.startsWith("java.lang.reflect.")) continue;
      stack.add(frame.toString());
    }
    out.add("stackTrace", stack);
    final int deepest = 8;  // of causes within causes
    if (failure.getCause() != null && depth < deepest) out.add("cause", describe(failure.getCause(), depth + 1));
    return out;
  }
}
