package mayfly;

import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The process's end of its frame stream, descriptor 3; the format is src/runtime/frame.h. One thread reads, any writes. */
final class Frames {
  static final byte START = 1, READY = 2, CALL = 3, REPLY = 4, FAILED = 5, HEAD = 6, CHUNK = 7, HOOK = 8, IMPORTED = 9;
  static final byte OK = 0, HANDLED_ERROR = 1;
  static final int MAX_PAYLOAD_BYTES = 33 << 20;  // kMaxPayloadBytes
  private static final int HEADER_BYTES = 24, READ_BYTES = 64 << 10;

  static final class Frame {
    byte kind;
    int retries, call;
    byte[] meta, payload;
  }

  private final InputStream in;
  private final OutputStream out;
  private byte[] buffer = new byte[READ_BYTES];
  private int start, end;  // what of buffer has been received and not been taken

  Frames(int descriptor) throws ReflectiveOperationException {
    FileDescriptor fd = new FileDescriptor();
    Field number = FileDescriptor.class.getDeclaredField("fd");
    number.setAccessible(true);  // opened by --add-opens; the JDK has no other way to take over an inherited socket
    number.setInt(fd, descriptor);
    in = new FileInputStream(fd);
    out = new FileOutputStream(fd);
  }

  /** The next frame, or null when the server is gone. */
  Frame read() throws IOException {
    if (!have(HEADER_BYTES)) return null;
    ByteBuffer header = ByteBuffer.wrap(buffer, start, HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    int payloadSize = header.getInt(), metaSize = header.getInt();
    Frame frame = new Frame();
    frame.kind = header.get();
    header.get();
    frame.retries = header.getShort() & 0xffff;
    frame.call = header.getInt();
    start += HEADER_BYTES;
    frame.meta = take(metaSize);
    frame.payload = take(payloadSize);
    return frame;
  }

  private byte[] take(int size) throws IOException {
    byte[] bytes = new byte[size];
    int had = Math.min(size, end - start);
    System.arraycopy(buffer, start, bytes, 0, had);
    start += had;
    while (had < size) {
      int got = in.read(bytes, had, size - had);
      if (got < 0) throw new EOFException("the server closed the stream within a frame");
      had += got;
    }
    return bytes;
  }

  private boolean have(int size) throws IOException {
    while (end - start < size) {
      if (start > 0) {
        System.arraycopy(buffer, start, buffer, 0, end - start);
        end -= start;
        start = 0;
      }
      int got = in.read(buffer, end, buffer.length - end);
      if (got < 0) return false;
      end += got;
    }
    return true;
  }

  synchronized void write(byte kind, int call, byte status, long durationUs, byte[] meta, byte[] payload, int offset, int size) throws IOException {
    ByteBuffer frame = ByteBuffer.allocate(HEADER_BYTES + meta.length + size).order(ByteOrder.LITTLE_ENDIAN);
    frame.putInt(size).putInt(meta.length).put(kind).put(status).putShort((short) 0).putInt(call).putLong(durationUs);
    frame.put(meta).put(payload, offset, size);
    out.write(frame.array());
  }

  void write(byte kind, int call, byte status, long durationUs, byte[] meta, byte[] payload) throws IOException {
    write(kind, call, status, durationUs, meta, payload, 0, payload.length);
  }
}
