package mayfly.fc;

import com.aliyun.fc.runtime.FunctionComputeLogger;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

/** Lines of the form "2026-11-20T10:00:00.000Z request-id [INFO] text" (aliyun-fc.md 5.8). */
final class Logger implements FunctionComputeLogger {
  private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);
  private static volatile Level least = Level.INFO;  // one for the instance, as the handler's code expects

  private final String requestId;

  Logger(String requestId) {
    this.requestId = requestId;
  }

  private void print(Level level, String text) {
    if (level.ordinal() >= least.ordinal()) System.out.println(TIME.format(Instant.now()) + " " + requestId + " [" + level + "] " + text);
  }

  @Override public void trace(String text) { print(Level.TRACE, text); }
  @Override public void debug(String text) { print(Level.DEBUG, text); }
  @Override public void info(String text) { print(Level.INFO, text); }
  @Override public void warn(String text) { print(Level.WARN, text); }
  @Override public void error(String text) { print(Level.ERROR, text); }
  @Override public void fatal(String text) { print(Level.FATAL, text); }
  @Override public void setLogLevel(Level level) { least = level; }
}
