package bench;

import com.aliyun.fc.runtime.Context;
import com.aliyun.fc.runtime.PojoRequestHandler;

/** The benches' function hello in Java: JSON in, JSON out. */
public class Hello implements PojoRequestHandler<Hello.Name, Hello.Greeting> {
    public static class Name {
        public String name;
        public String getName() { return name; }
        public void setName(String value) { name = value; }
    }

    public static class Greeting {
        public final String hello;
        Greeting(String value) { hello = value; }
        public String getHello() { return hello; }
    }

    @Override
    public Greeting handleRequest(Name input, Context context) { return new Greeting(input.name); }
}
