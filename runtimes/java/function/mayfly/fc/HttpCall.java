package mayfly.fc;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.net.URLDecoder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.servlet.ReadListener;
import javax.servlet.ServletInputStream;
import javax.servlet.http.Cookie;
import javax.servlet.http.HttpServletRequest;
import mayfly.Bridge;

/**
 * An HttpServletRequest. The interface has some seventy methods, and more in each version: what a handler of a function uses is answered
 * here by name, the rest (sessions, dispatchers, asynchronous servlets) is refused with a sentence.
 */
final class HttpCall {
  private final Bridge.Exchange exchange;
  private final Map<String, List<String>> headers;
  private final Map<String, Object> attributes = new HashMap<>();
  private final InputStream body;
  private Map<String, String[]> parameters;
  private String encoding;
  private BufferedReader reader;
  private ServletInputStream stream;

  HttpCall(Bridge.Exchange exchange) {
    this.exchange = exchange;
    this.headers = exchange.headers();
    this.body = exchange.body();
  }

  HttpServletRequest servlet() {
    return (HttpServletRequest) Proxy.newProxyInstance(getClass().getClassLoader(), new Class<?>[] {HttpServletRequest.class}, (proxy, method, arguments) -> answer(method, arguments));
  }

  private Object answer(Method method, Object[] arguments) throws Exception {
    String first = arguments != null && arguments.length > 0 ? String.valueOf(arguments[0]) : "";
    switch (method.getName()) {
      case "getHeader": return header(first);
      case "getHeaders": return Collections.enumeration(all(first));
      case "getHeaderNames": return Collections.enumeration(headers.keySet());
      case "getIntHeader": return header(first) == null ? -1 : Integer.parseInt(header(first));
      case "getDateHeader": return header(first) == null ? -1L : ZonedDateTime.parse(header(first), DateTimeFormatter.RFC_1123_DATE_TIME).toInstant().toEpochMilli();
      case "getCookies": return cookies();
      case "getInputStream": return stream();
      case "getReader": return reader();
      case "getParameter": return parameters().containsKey(first) ? parameters().get(first)[0] : null;
      case "getParameterValues": return parameters().get(first);
      case "getParameterNames": return Collections.enumeration(parameters().keySet());
      case "getParameterMap": return Collections.unmodifiableMap(parameters());
      case "getAttribute": return attributes.get(first);
      case "getAttributeNames": return Collections.enumeration(attributes.keySet());
      case "setAttribute": attributes.put(first, arguments[1]); return null;
      case "removeAttribute": attributes.remove(first); return null;
      case "setCharacterEncoding": encoding = Charset.forName(first).name(); return null;
      case "getCharacterEncoding": return encoding();
      case "equals": return false;
      case "hashCode": return System.identityHashCode(this);
      default: return plain(method);
    }
  }

  private Object plain(Method method) {
    String uri = exchange.requestUri();
    int question = uri.indexOf('?');
    String host = exchange.host();
    int colon = host.lastIndexOf(':');
    switch (method.getName()) {
      case "getMethod": return exchange.method();
      case "getRequestURI": return question < 0 ? uri : uri.substring(0, question);
      case "getRequestURL": return new StringBuffer("http://" + host + (question < 0 ? uri : uri.substring(0, question)));
      case "getQueryString": return question < 0 ? null : uri.substring(question + 1);
      case "getPathInfo": return URLDecoder.decode(exchange.path().replace("+", "%2B"), StandardCharsets.UTF_8);
      case "getServletPath":
      case "getContextPath": return "";
      case "getRemoteAddr":
      case "getRemoteHost": return exchange.clientIp();
      case "getServerName": return colon < 0 ? host : host.substring(0, colon);
      case "getServerPort": return colon < 0 ? 80 : Integer.parseInt(host.substring(colon + 1));
      case "getProtocol": return "HTTP/1.1";
      case "getScheme": return "http";
      case "isSecure": return false;
      case "getContentType": return header("Content-Type");
      case "getContentLength": return available();
      case "getContentLengthLong": return (long) available();
      case "getLocale": return Locale.getDefault();
      case "getLocales": return Collections.enumeration(List.of(Locale.getDefault()));
      case "toString": return exchange.method() + " " + uri;
      case "getRemoteUser":
      case "getUserPrincipal":
      case "getAuthType":
      case "getRequestedSessionId":
      case "getPathTranslated": return null;
      default: throw new UnsupportedOperationException("HttpServletRequest." + method.getName() + " has no meaning in a function");
    }
  }

  private int available() {
    try {
      return body.available();
    } catch (IOException impossible) {
      return -1;
    }
  }

  private String header(String name) {
    List<String> values = all(name);
    return values.isEmpty() ? null : values.get(0);
  }

  private List<String> all(String name) {
    for (Map.Entry<String, List<String>> entry : headers.entrySet()) {
      if (entry.getKey().equalsIgnoreCase(name)) return entry.getValue();
    }
    return Collections.emptyList();
  }

  private Cookie[] cookies() {
    List<Cookie> out = new ArrayList<>();
    for (String line : all("Cookie")) {
      for (String pair : line.split(";")) {
        int equals = pair.indexOf('=');
        if (equals > 0) out.add(new Cookie(pair.substring(0, equals).trim(), pair.substring(equals + 1).trim()));
      }
    }
    return out.isEmpty() ? null : out.toArray(new Cookie[0]);
  }

  private String encoding() {
    if (encoding != null) return encoding;
    String type = header("Content-Type");
    int at = type == null ? -1 : type.toLowerCase(Locale.ROOT).indexOf("charset=");
    return at < 0 ? null : type.substring(at + "charset=".length()).split(";")[0].trim().replace("\"", "");
  }

  private BufferedReader reader() {
    Charset charset = encoding() == null ? StandardCharsets.UTF_8 : Charset.forName(encoding());
    if (reader == null) reader = new BufferedReader(new InputStreamReader(body, charset));
    return reader;
  }

  private Map<String, String[]> parameters() throws IOException {
    if (parameters != null) return parameters;
    Map<String, List<String>> lists = new LinkedHashMap<>();
    exchange.queries().forEach((name, values) -> lists.computeIfAbsent(name, key -> new ArrayList<>()).addAll(values));
    String type = header("Content-Type");
    if (type != null && type.startsWith("application/x-www-form-urlencoded")) {
      for (String pair : new String(body.readAllBytes(), StandardCharsets.UTF_8).split("&")) {
        if (pair.isEmpty()) continue;
        String[] sides = pair.split("=", 2);
        lists.computeIfAbsent(URLDecoder.decode(sides[0], StandardCharsets.UTF_8), key -> new ArrayList<>())
            .add(sides.length > 1 ? URLDecoder.decode(sides[1], StandardCharsets.UTF_8) : "");
      }
    }
    parameters = new LinkedHashMap<>();
    lists.forEach((name, values) -> parameters.put(name, values.toArray(new String[0])));
    return parameters;
  }

  private ServletInputStream stream() {
    if (stream == null) stream = new BodyStream();
    return stream;
  }

  private final class BodyStream extends ServletInputStream {
    @Override public int read() throws IOException { return body.read(); }
    @Override public int read(byte[] bytes, int offset, int length) throws IOException { return body.read(bytes, offset, length); }
    @Override public int available() throws IOException { return body.available(); }
    @Override public boolean isFinished() { return HttpCall.this.available() == 0; }
    @Override public boolean isReady() { return true; }
    @Override public void setReadListener(ReadListener listener) { throw new IllegalStateException("the body is here already: read it"); }
  }
}
