package mayfly;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A request of an HTTP function as the server describes it (dispatch::Invocation::http), and the head of its answer. */
final class HttpExchange implements Bridge.Exchange {
  private final Answer answer;
  private final JsonObject about;
  private final byte[] body;
  private final Map<String, List<String>> answered = new LinkedHashMap<>();
  private int status = 200;

  HttpExchange(Answer answer, int call, String about, byte[] body) {
    this.answer = answer;
    this.about = JsonParser.parseString(about).getAsJsonObject();
    this.body = body;
  }

  private String string(String name) {
    return about.has(name) ? about.get(name).getAsString() : "";
  }

  private Map<String, List<String>> lists(String name) {
    Map<String, List<String>> out = new LinkedHashMap<>();
    if (!about.has(name)) return out;
    for (Map.Entry<String, JsonElement> entry : about.getAsJsonObject(name).entrySet()) {
      List<String> values = new ArrayList<>();
      if (entry.getValue().isJsonArray()) entry.getValue().getAsJsonArray().forEach(value -> values.add(value.getAsString()));
      else values.add(entry.getValue().getAsString());
      out.put(entry.getKey(), values);
    }
    return out;
  }

  @Override public String method() { return string("method"); }
  @Override public String path() { return string("path"); }
  @Override public String requestUri() { return string("requestURI"); }
  @Override public String clientIp() { return string("clientIP"); }
  @Override public String host() { return string("host"); }
  @Override public Map<String, List<String>> queries() { return lists("queries"); }
  @Override public Map<String, List<String>> headers() { return lists("headers"); }
  @Override public InputStream body() { return new ByteArrayInputStream(body); }
  @Override public void status(int value) { status = value; }
  @Override public void header(String name, List<String> values) { answered.put(name, values); }
  @Override public OutputStream answer() { return answer; }
  @Override public void clear() { answer.reset(); }

  @Override
  public void flush() throws IOException {
    answer.head(head());
    answer.stream();
  }

  /** JSON {status, headers: {name: [value, ...]}}. */
  String head() {
    JsonObject headers = new JsonObject();
    answered.forEach((name, values) -> {
      JsonArray list = new JsonArray();
      values.forEach(list::add);
      headers.add(name, list);
    });
    JsonObject head = new JsonObject();
    head.addProperty("status", status);
    head.add("headers", headers);
    return head.toString();
  }
}
