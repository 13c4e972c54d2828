package mayfly;

import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The class loader of a function: its package's classes, its jars (at the root and in lib/), the layers' (CLASSPATH), and behind them the
 * adapters and, for packages that leave them out, the interfaces and the servlet API. It sees the JDK and mayfly.Bridge, and nothing else
 * of the runtime: a function may bring any version of any library.
 */
final class FunctionLoader extends URLClassLoader {
  private static final String SERVLET_API = "/usr/share/java/servlet-api.jar";  // Debian's libservlet-api-java

  private FunctionLoader(URL[] places) {
    super(places, ClassLoader.getPlatformClassLoader());
  }

  static FunctionLoader make(String code, String classPath, String runtimeFolder) throws MalformedURLException {
    List<URL> places = new ArrayList<>();
    places.add(url(code + "/"));
    addJars(places, code);
    addJars(places, code + "/lib");
    if (classPath != null) {
      for (String entry : classPath.split(":")) {
        if (entry.endsWith("/*")) addJars(places, entry.substring(0, entry.length() - 2));
        else if (!entry.isEmpty()) places.add(url(new File(entry).isDirectory() ? entry + "/" : entry));
      }
    }
    addJars(places, "/opt/java/lib");
    places.add(url(runtimeFolder + "/function.jar"));
    places.add(url(runtimeFolder + "/contract.jar"));
    if (new File(SERVLET_API).exists()) places.add(url(SERVLET_API));
    return new FunctionLoader(places.toArray(new URL[0]));
  }

  private static URL url(String path) throws MalformedURLException {
    return new URL("file", "", path);
  }

  private static void addJars(List<URL> places, String folder) throws MalformedURLException {
    String[] names = new File(folder).list((in, name) -> name.endsWith(".jar"));
    if (names == null) return;
    Arrays.sort(names);
    for (String name : names) places.add(url(folder + "/" + name));
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    if (name.startsWith("mayfly.Bridge")) return Main.class.getClassLoader().loadClass(name);
    return super.loadClass(name, resolve);
  }
}
