package mayfly.fc;

import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.servlet.ServletOutputStream;
import javax.servlet.WriteListener;
import javax.servlet.http.Cookie;
import javax.servlet.http.HttpServletResponse;
import mayfly.Bridge;

/** An HttpServletResponse: the head is kept until the end or the first flush, from which on the body is streamed. See HttpCall. */
final class HttpReply {
  private final Bridge.Exchange exchange;
  private final Map<String, List<String>> headers = new LinkedHashMap<>();
  private int status = 200;
  private String encoding = "UTF-8";
  private boolean committed, finishing;
  private PrintWriter writer;
  private ServletOutputStream stream;

  HttpReply(Bridge.Exchange exchange) {
    this.exchange = exchange;
  }

  HttpServletResponse servlet() {
    return (HttpServletResponse) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {HttpServletResponse.class}, (proxy, method, arguments) -> answer(method, arguments));
  }

  void finish() {
    finishing = true;
    if (writer != null) writer.flush();
    head();
  }

  private void head() {
    exchange.status(status);
    headers.forEach(exchange::header);
  }

  private void flush() throws IOException {
    if (!committed) head();
    committed = true;
    exchange.flush();
  }

  private Object answer(Method method, Object[] arguments) throws Exception {
    String first = arguments != null && arguments.length > 0 ? String.valueOf(arguments[0]) : "";
    String second = arguments != null && arguments.length > 1 ? String.valueOf(arguments[1]) : "";
    switch (method.getName()) {
      case "setStatus": status = (Integer) arguments[0]; return null;
      case "getStatus": return status;
      case "setHeader":
      case "setIntHeader": set(first, second); return null;
      case "addHeader":
      case "addIntHeader": values(first).add(second); return null;
      case "setDateHeader": set(first, date((Long) arguments[1])); return null;
      case "addDateHeader": values(first).add(date((Long) arguments[1])); return null;
      case "containsHeader": return find(first) != null;
      case "getHeader": return find(first) == null ? null : find(first).get(0);
      case "getHeaders": return find(first) == null ? List.of() : (Collection<String>) find(first);
      case "getHeaderNames": return (Collection<String>) headers.keySet();
      case "addCookie": values("Set-Cookie").add(text((Cookie) arguments[0])); return null;
      case "setContentType": set("Content-Type", first); return null;
      case "getContentType": return find("Content-Type") == null ? null : find("Content-Type").get(0);
      case "setCharacterEncoding": encoding = Charset.forName(first).name(); return null;
      case "getCharacterEncoding": return encoding;
      case "sendError": return error((Integer) arguments[0], second);
      case "sendRedirect": status = HttpServletResponse.SC_FOUND; set("Location", first); return null;
      default: return other(method, first);
    }
  }

  private Object other(Method method, String first) throws IOException {
    switch (method.getName()) {
      case "getOutputStream": return stream();
      case "getWriter": return writer();
      case "flushBuffer": if (writer != null) writer.flush(); flush(); return null;
      case "isCommitted": return committed;
      case "setContentLength":
      case "setContentLengthLong":
      case "setBufferSize":
      case "setLocale": return null;  // the platform counts and buffers itself
      case "getBufferSize": return 0;
      case "getLocale": return Locale.getDefault();
      case "reset": headers.clear(); status = HttpServletResponse.SC_OK; return null;
      case "resetBuffer": return null;
      case "encodeURL":
      case "encodeUrl":
      case "encodeRedirectURL":
      case "encodeRedirectUrl": return first;  // there are no sessions to put into it
      case "equals": return false;
      case "hashCode": return System.identityHashCode(this);
      case "toString": return "reply " + status;
      default: throw new UnsupportedOperationException("HttpServletResponse." + method.getName() + " has no meaning in a function");
    }
  }

  private Object error(int code, String message) throws IOException {
    status = code;
    set("Content-Type", "text/plain; charset=utf-8");
    exchange.answer().write(message.getBytes(StandardCharsets.UTF_8));
    return null;
  }

  private List<String> find(String name) {
    for (Map.Entry<String, List<String>> entry : headers.entrySet()) {
      if (entry.getKey().equalsIgnoreCase(name)) return entry.getValue();
    }
    return null;
  }

  private List<String> values(String name) {
    List<String> there = find(name);
    return there != null ? there : headers.computeIfAbsent(name, key -> new ArrayList<>());
  }

  private void set(String name, String value) {
    List<String> there = values(name);
    there.clear();
    there.add(value);
  }

  private static String date(long millis) {
    return DateTimeFormatter.RFC_1123_DATE_TIME.format(Instant.ofEpochMilli(millis).atZone(ZoneOffset.UTC));
  }

  private static String text(Cookie cookie) {
    StringBuilder out = new StringBuilder(cookie.getName() + "=" + cookie.getValue());
    if (cookie.getPath() != null) out.append("; Path=").append(cookie.getPath());
    if (cookie.getDomain() != null) out.append("; Domain=").append(cookie.getDomain());
    if (cookie.getMaxAge() >= 0) out.append("; Max-Age=").append(cookie.getMaxAge());
    if (cookie.getSecure()) out.append("; Secure");
    if (cookie.isHttpOnly()) out.append("; HttpOnly");
    return out.toString();
  }

  private PrintWriter writer() {
    if (writer == null) writer = new PrintWriter(new OutputStreamWriter(stream(), Charset.forName(encoding)));
    return writer;
  }

  private ServletOutputStream stream() {
    if (stream == null) stream = new BodyStream();
    return stream;
  }

  private final class BodyStream extends ServletOutputStream {
    private final OutputStream body = exchange.answer();

    @Override public void write(int b) throws IOException { body.write(b); }
    @Override public void write(byte[] bytes, int offset, int length) throws IOException { body.write(bytes, offset, length); }
    @Override public void flush() throws IOException { HttpReply.this.flushStream(); }
    @Override public boolean isReady() { return true; }
    @Override public void setWriteListener(WriteListener listener) { throw new IllegalStateException("write at once: nothing blocks"); }
  }

  private void flushStream() throws IOException {
    if (!finishing) flush();
  }
}
