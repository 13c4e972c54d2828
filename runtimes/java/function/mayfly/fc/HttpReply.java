package mayfly.fc;

import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.UnsupportedEncodingException;
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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.servlet.ServletOutputStream;
import javax.servlet.WriteListener;
import javax.servlet.http.Cookie;
import javax.servlet.http.HttpServletResponse;
import mayfly.Bridge;

/** An HttpServletResponse: the head is kept until the end or the first flush, from which on the body is streamed. See HttpCall. */
final class HttpReply {
  private static final String TYPE = "Content-Type";
  private static final Pattern CHARSET = Pattern.compile(";\\s*charset\\s*=\\s*\"?([^\";\\s]+)\"?", Pattern.CASE_INSENSITIVE);
  private static final String USUAL_ENCODING = "UTF-8";

  private final Bridge.Exchange exchange;
  private final Map<String, List<String>> headers = new LinkedHashMap<>();
  private int status = 200;
  private String encoding;  // null until one is named, or a writer takes the usual one
  private boolean committed, ended, gathering;  // ended: sendError or sendRedirect said the last word
  private PrintWriter writer;
  private ServletOutputStream stream;

  HttpReply(Bridge.Exchange exchange) {
    this.exchange = exchange;
  }

  HttpServletResponse servlet() {
    return (HttpServletResponse) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {HttpServletResponse.class}, (proxy, method, arguments) -> answer(method, arguments));
  }

  void finish() {
    gather();
    if (!ended) head();
  }

  /** What the writer holds goes to the body; that is no wish of the handler's to have it sent. */
  private void gather() {
    gathering = true;
    if (writer != null) writer.flush();
    gathering = false;
  }

  private void head() {
    exchange.status(status);
    headers.forEach((name, values) -> exchange.header(name, List.copyOf(values)));
  }

  private void flush() throws IOException {
    if (!committed && !ended) head();
    committed = true;
    exchange.flush();
  }

  private Object answer(Method method, Object[] arguments) throws Exception {
    String first = arguments != null && arguments.length > 0 ? String.valueOf(arguments[0]) : "";
    String second = arguments != null && arguments.length > 1 && arguments[1] != null ? arguments[1].toString() : "";
    switch (method.getName()) {
      case "setStatus": status = (Integer) arguments[0]; return null;
      case "getStatus": return status;
      case "setHeader":
      case "setIntHeader": set(first, second); return null;
      case "addHeader":
      case "addIntHeader": add(first, second); return null;
      case "setDateHeader": set(first, date((Long) arguments[1])); return null;
      case "addDateHeader": values(first).add(date((Long) arguments[1])); return null;
      case "containsHeader": return find(first) != null;
      case "getHeader": return find(first) == null ? null : find(first).get(0);
      case "getHeaders": return find(first) == null ? List.of() : (Collection<String>) find(first);
      case "getHeaderNames": return (Collection<String>) headers.keySet();
      case "addCookie": values("Set-Cookie").add(text((Cookie) arguments[0])); return null;
      case "setContentType": set(TYPE, first); return null;
      case "getContentType": return contentType();
      case "setCharacterEncoding": encode(first); return null;
      case "getCharacterEncoding": return encoding == null ? USUAL_ENCODING : encoding;
      case "sendError": return end((Integer) arguments[0], TYPE, "text/plain; charset=utf-8", second);
      case "sendRedirect": return end(HttpServletResponse.SC_FOUND, "Location", first, "");
      default: return other(method, first);
    }
  }

  private Object other(Method method, String first) throws IOException {
    switch (method.getName()) {
      case "getOutputStream": return stream();
      case "getWriter": return writer();
      case "flushBuffer": if (writer != null) writer.flush(); flush(); return null;
      case "isCommitted": return committed || ended;
      case "setContentLength":
      case "setContentLengthLong":
      case "setBufferSize":
      case "setLocale": return null;  // the platform counts and buffers itself
      case "getBufferSize": return 0;
      case "getLocale": return Locale.getDefault();
      case "reset": reset(); return null;
      case "resetBuffer": clear(); return null;
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

  private void clear() {
    if (committed || ended) throw new IllegalStateException("the response is committed: what was written cannot be taken back");
    gather();
    exchange.clear();
  }

  private void reset() {
    clear();
    headers.clear();
    status = HttpServletResponse.SC_OK;
    writer = null;
    stream = null;
    encoding = null;
  }

  /** This is the whole answer: what the handler still says is not heard. */
  private Object end(int code, String header, String value, String message) throws IOException {
    clear();
    exchange.answer().write(message.getBytes(StandardCharsets.UTF_8));
    status = code;
    put(header, value);
    head();
    ended = true;
    return null;
  }

  private String contentType() {
    return find(TYPE) == null ? null : find(TYPE).get(0);
  }

  private static String charset(String type) {
    Matcher named = CHARSET.matcher(type);
    return named.find() ? named.group(1) : null;
  }

  /** An encoding can be named until there is a writer. */
  private void encode(String name) {
    if (writer == null && !committed) encoding = name;
    label();
  }

  /** The content type names the encoding that its text has. */
  private void label() {
    String type = contentType();
    if (type != null && encoding != null && !encoding.equalsIgnoreCase(charset(type))) find(TYPE).set(0, CHARSET.matcher(type).replaceAll("") + "; charset=" + encoding);
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

  private void put(String name, String value) {
    List<String> there = values(name);
    there.clear();
    there.add(value);
  }

  private void set(String name, String value) {
    put(name, value);
    if (name.equalsIgnoreCase(TYPE)) encode(charset(value) == null ? encoding : charset(value));
  }

  private void add(String name, String value) {
    if (name.equalsIgnoreCase(TYPE)) set(name, value);  // a message has one
    else values(name).add(value);
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

  private PrintWriter writer() throws IOException {
    if (writer != null) return writer;
    if (encoding == null) encode(USUAL_ENCODING);
    try {
      writer = new PrintWriter(new OutputStreamWriter(stream(), Charset.forName(encoding == null ? USUAL_ENCODING : encoding)));
    } catch (IllegalArgumentException unknown) {
      throw new UnsupportedEncodingException(encoding);
    }
    return writer;
  }

  private ServletOutputStream stream() {
    if (stream == null) stream = new BodyStream();
    return stream;
  }

  private final class BodyStream extends ServletOutputStream {
    private final OutputStream body = exchange.answer();

    @Override
    public void write(int b) throws IOException {
      if (!ended) body.write(b);
    }
    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      if (!ended) body.write(bytes, offset, length);
    }
    @Override public void flush() throws IOException { HttpReply.this.flushStream(); }
    @Override public boolean isReady() { return true; }
    @Override public void setWriteListener(WriteListener listener) { throw new IllegalStateException("write at once: nothing blocks"); }
  }

  private void flushStream() throws IOException {
    if (!gathering) flush();
  }
}
