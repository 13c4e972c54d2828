package mayfly;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** The body of a reply while it is written: kept until the end, or streamed from the first flush on. */
final class Answer extends ByteArrayOutputStream {
  private static final byte[] NOTHING = {};
  private static final int CHUNK_BYTES = 64 << 10;  // streamed without being flushed once so much has gathered
  private static final int MAX_CHUNK_BYTES = 1 << 20;  // a longer piece goes as several frames

  private final Frames frames;
  private final int call;
  private byte[] head = NOTHING;
  private boolean streaming;

  Answer(Frames frames, int call) {
    this.frames = frames;
    this.call = call;
  }

  /** The meta of the reply: JSON {status, headers} of an HTTP function. */
  void head(String meta) {
    head = meta.getBytes(StandardCharsets.UTF_8);
  }

  void stream() throws IOException {
    if (!streaming) {
      streaming = true;
      frames.write(Frames.HEAD, call, Frames.OK, 0, head, NOTHING);
    }
    send();
  }

  @Override
  public synchronized void write(byte[] bytes, int offset, int length) {
    super.write(bytes, offset, length);
    if (streaming && count >= CHUNK_BYTES) sendUnchecked();
  }

  @Override
  public synchronized void write(int b) {
    super.write(b);
    if (streaming && count >= CHUNK_BYTES) sendUnchecked();
  }

  void end(long beganNanos) throws IOException {
    if (streaming) send();
    long tookUs = (System.nanoTime() - beganNanos) / 1000;
    if (count > Frames.MAX_PAYLOAD_BYTES) frames.write(Frames.REPLY, call, Frames.HANDLED_ERROR, tookUs, NOTHING, Errors.tooLarge(count));
    else frames.write(Frames.REPLY, call, Frames.OK, tookUs, streaming ? NOTHING : head, buf, 0, count);
  }

  private void send() throws IOException {
    for (int at = 0; at < count; at += MAX_CHUNK_BYTES) frames.write(Frames.CHUNK, call, Frames.OK, 0, NOTHING, buf, at, Math.min(MAX_CHUNK_BYTES, count - at));
    reset();
  }

  private void sendUnchecked() {
    try {
      send();
    } catch (IOException gone) {
      throw new java.io.UncheckedIOException(gone);
    }
  }
}
