package mayfly;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.lang.reflect.Field;
import java.lang.reflect.Type;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * The first class of a Java function's process: waits as a generic process for the start frame, becomes its function, and serves calls,
 * one after another or in as many threads as the function allows.
 */
public final class Main {
  private static final byte[] NOTHING = {};
  private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

  private static final int REHEARSED_CALLS = 20;
  private static final byte[] EVENT = "{\"name\":\"mayfly\",\"numbers\":[1,2,3]}".getBytes(StandardCharsets.UTF_8);
  private static final String REHEARSAL = "{\"code\":\"/nowhere\",\"handler\":\"mayfly.fc.Rehearsal\",\"instance_id\":\"rehearsal\",\"credentials\":[\"\",\"\",\"\"],"
      + "\"function\":{\"memory\":128,\"timeout\":1},\"service\":{}}";

  private final Frames frames;
  private Bridge bridge;
  private String credentials = "";  // id \0 secret \0 token, as the last call brought them
  private String preStop = "", preFreeze = "";
  private int memoryMb;

  private Main(Frames frames) {
    this.frames = frames;
  }

  public static void main(String[] arguments) throws Exception {
    if (arguments.length > 0 && arguments[0].equals("--warm-up")) {  // the build archives the classes that this loads
      warmUp();
      return;
    }
    warmUp();
    Frames frames = new Frames(3);
    Frames.Frame start = frames.read();
    if (start != null && start.kind == Frames.START) new Main(frames).run(start);
    System.exit(0);
  }

  /** Loads what the first call will need, while nobody waits. */
  private static void warmUp() throws Exception {
    JsonObject sample = JsonParser.parseString("{\"a\":[\"b\"],\"c\":1}").getAsJsonObject();
    GSON.toJson(sample);
    new HttpExchange(null, 0, "{\"method\":\"GET\",\"path\":\"/\",\"queries\":{},\"headers\":{}}", NOTHING).head();
    Errors.body(new IllegalStateException("sample"));
    new Answer(null, 0).size();
    rehearse();
  }

  /**
   * Becomes a tiny function of ours and serves it some calls, to nobody: most of what a first call takes is the first use of the JDK's own
   * loading, reflection and JSON. Its class loader is dropped, its environment replaced by the function's.
   */
  private static void rehearse() throws Exception {
    JsonObject start = JsonParser.parseString(REHEARSAL).getAsJsonObject();
    start.add("environment", GSON.toJsonTree(System.getenv()));
    setEnvironment(start);
    ClassLoader before = Thread.currentThread().getContextClassLoader();
    Bridge rehearsed = load(start);
    try {
      for (int i = 0; i < REHEARSED_CALLS; ++i) rehearsed.handle(new ByteArrayInputStream(EVENT), new java.io.ByteArrayOutputStream(), new Bridge.Invocation());
    } catch (Throwable failure) {
      throw new IllegalStateException("the rehearsal failed", failure);
    } finally {
      ((java.net.URLClassLoader) Thread.currentThread().getContextClassLoader()).close();
      Thread.currentThread().setContextClassLoader(before);
    }
  }

  private void run(Frames.Frame frame) throws Exception {
    long began = System.nanoTime();
    long imported;
    JsonObject start = JsonParser.parseString(text(frame.payload)).getAsJsonObject();
    try {
      setEnvironment(start);
      JsonArray keys = start.getAsJsonArray("credentials");
      Bridge.Invocation first = invocation(string(start, "request_id"), keys.get(0).getAsString() + '\0' + keys.get(1).getAsString() + '\0' + keys.get(2).getAsString(), 0);
      bridge = load(start);
      imported = System.nanoTime();
      if (!string(start, "initializer").isEmpty()) {
        frames.write(Frames.IMPORTED, 0, Frames.OK, 0, NOTHING, NOTHING);
        bridge.initialize(first);
      }
    } catch (Throwable failure) {
      frames.write(Frames.FAILED, 0, Frames.OK, 0, NOTHING, Errors.body(failure));
      return;
    }
    memoryMb = start.getAsJsonObject("function").get("memory").getAsInt();
    preStop = string(start, "pre_stop");
    preFreeze = string(start, "pre_freeze");
    long ready = System.nanoTime();
    String meta = "{\"import_us\":" + (imported - began) / 1000 + ",\"init_us\":" + (ready - imported) / 1000 + "}";
    frames.write(Frames.READY, 0, Frames.OK, (ready - began) / 1000, meta.getBytes(StandardCharsets.UTF_8), NOTHING);
    int concurrency = start.get("concurrency").getAsInt();
    ExecutorService pool = concurrency > 1 ? Executors.newFixedThreadPool(concurrency, Main::daemon) : null;
    for (Frames.Frame call = frames.read(); call != null; call = frames.read()) {
      Frames.Frame each = call;
      if (pool == null) serve(each);
      else pool.execute(() -> serve(each));
    }
  }

  private static Thread daemon(Runnable work) {
    Thread thread = new Thread(work, "call");
    thread.setDaemon(true);
    return thread;
  }

  private void serve(Frames.Frame frame) {
    try {
      if (frame.kind == Frames.CALL) call(frame);
      else if (frame.kind == Frames.HOOK) hook(frame);
    } catch (java.io.IOException gone) {
      System.exit(1);  // nobody is there to answer any more
    }
  }

  private void call(Frames.Frame frame) throws java.io.IOException {
    long began = System.nanoTime();
    String[] meta = text(frame.meta).split("\1", -1);
    Answer answer = new Answer(frames, frame.call);
    try {
      Bridge.Invocation invocation = invocation(meta[0], meta[1], frame.retries);
      if (meta.length > 2 && !meta[2].isEmpty()) {
        HttpExchange exchange = new HttpExchange(answer, frame.call, meta[2], frame.payload);
        bridge.handleHttp(exchange, invocation);
        answer.head(exchange.head());
      } else {
        bridge.handle(new ByteArrayInputStream(frame.payload), answer, invocation);
      }
      answer.end(began);
    } catch (Throwable failure) {
      if (failure instanceof VirtualMachineError) failure.printStackTrace();
      if (failure instanceof OutOfMemoryError) {  // what else it hit cannot be known: last words, and the end
        frames.write(Frames.FAILED, frame.call, Frames.OK, 0, NOTHING, Errors.outOfMemory((OutOfMemoryError) failure, memoryMb));
        System.exit(1);
      }
      frames.write(Frames.REPLY, frame.call, Frames.HANDLED_ERROR, (System.nanoTime() - began) / 1000, NOTHING, Errors.body(failure));
    }
  }

  private void hook(Frames.Frame frame) throws java.io.IOException {
    String[] meta = text(frame.meta).split("\1", -1);
    boolean stop = meta[0].equals("preStop");
    String handler = stop ? preStop : preFreeze;
    try {
      Bridge.Invocation invocation = meta.length > 2 ? invocation(meta[1], meta[2], 0) : invocation("", credentials, 0);  // an older server sends the name alone
      if (!handler.isEmpty()) bridge.hook(handler, stop, invocation);
    } catch (Throwable failure) {
      failure.printStackTrace();
    }
    frames.write(Frames.REPLY, frame.call, Frames.OK, 0, NOTHING, NOTHING);
  }

  /** Of what runs from now on: the environment has its credentials too. */
  private synchronized Bridge.Invocation invocation(String requestId, String keys, int retries) throws ReflectiveOperationException {
    Bridge.Invocation invocation = new Bridge.Invocation();
    invocation.requestId = requestId;
    invocation.credentials = keys.split("\0", -1);
    invocation.retries = retries;
    if (!keys.equals(credentials)) setCredentials(environment(), invocation.credentials);
    credentials = keys;
    return invocation;
  }

  private static Bridge load(JsonObject start) throws Exception {
    String code = string(start, "code");
    ClassLoader loader = FunctionLoader.make(code, System.getenv("CLASSPATH"), ownFolder());
    Thread.currentThread().setContextClassLoader(loader);
    Bridge.About about = new Bridge.About();
    JsonObject function = start.getAsJsonObject("function"), service = start.getAsJsonObject("service");
    about.functionName = string(function, "name");
    about.memoryMb = function.get("memory").getAsInt();
    about.timeoutSeconds = function.get("timeout").getAsInt();
    about.handler = string(start, "handler");
    about.initializer = string(start, "initializer");
    about.serviceName = string(service, "name");
    about.logProject = string(service, "log_project");
    about.logStore = string(service, "log_store");
    about.qualifier = string(service, "qualifier");
    about.versionId = string(service, "version_id");
    about.region = string(start, "region");
    about.account = string(start, "account");
    Class<?> side = Class.forName("mayfly.fc.FunctionSide", true, loader);
    try {
      return (Bridge) side.getConstructor(Bridge.About.class, Bridge.Mapper.class).newInstance(about, new JsonMapper());
    } catch (java.lang.reflect.InvocationTargetException wrapped) {
      throw wrapped.getCause() instanceof Exception ? (Exception) wrapped.getCause() : wrapped;
    }
  }

  private static String ownFolder() throws Exception {
    URI own = Main.class.getProtectionDomain().getCodeSource().getLocation().toURI();
    return new File(own).getParent();
  }

  private static final class JsonMapper implements Bridge.Mapper {
    @Override
    public Object read(String json, Type type) {
      return GSON.fromJson(json, type);
    }

    @Override
    public String write(Object value) {
      return GSON.toJson(value);
    }
  }

  /** What System.getenv() gives, and ProcessBuilder.environment(). */
  @SuppressWarnings("unchecked")
  private static Map<String, String> environment() throws ReflectiveOperationException {
    Field holder = Class.forName("java.lang.ProcessEnvironment").getDeclaredField("theUnmodifiableEnvironment");
    holder.setAccessible(true);
    Object unmodifiable = holder.get(null);
    Field inner = unmodifiable.getClass().getDeclaredField("m");
    inner.setAccessible(true);
    return (Map<String, String>) inner.get(unmodifiable);
  }

  /** Replaces the environment of this process as Java sees it: it was started before anybody knew for which function. */
  private static void setEnvironment(JsonObject start) throws ReflectiveOperationException {
    Map<String, String> environment = environment();
    environment.clear();
    JsonObject wanted = start.getAsJsonObject("environment");
    for (String name : wanted.keySet()) environment.put(name, wanted.get(name).getAsString());
    environment.put("FC_INSTANCE_ID", string(start, "instance_id"));
    setCredentials(environment, new String[] {"", "", ""});
  }

  /** Once these are in the map, which takes no lock, others only replace their values: whoever reads it meanwhile sees the old or the new. */
  private static void setCredentials(Map<String, String> environment, String[] keys) {
    environment.put("ALIBABA_CLOUD_ACCESS_KEY_ID", keys[0]);
    environment.put("ALIBABA_CLOUD_ACCESS_KEY_SECRET", keys[1]);
    environment.put("ALIBABA_CLOUD_SECURITY_TOKEN", keys[2]);
  }

  private static String string(JsonObject object, String name) {
    return object.has(name) ? object.get(name).getAsString() : "";
  }

  static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
