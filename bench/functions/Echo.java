package bench;

import com.aliyun.fc.runtime.Context;
import com.aliyun.fc.runtime.PojoRequestHandler;

/** The benches' function echo in Java: waits, prints, gives the nonce back. */
public class Echo implements PojoRequestHandler<Echo.Wish, Echo.Answer> {
    public static class Wish {
        public String nonce;
        public long ms;
        public String getNonce() { return nonce; }
        public void setNonce(String value) { nonce = value; }
        public long getMs() { return ms; }
        public void setMs(long value) { ms = value; }
    }

    public static class Answer {
        public final String nonce;
        Answer(String value) { nonce = value; }
        public String getNonce() { return nonce; }
    }

    @Override
    public Answer handleRequest(Wish wish, Context context) {
        try {
            Thread.sleep(wish.ms);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        context.getLogger().info("echo " + wish.nonce);
        return new Answer(wish.nonce);
    }
}
