package com.aliyun.fc.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** Reads the event as it came and writes the result as it goes. */
public interface StreamRequestHandler {
  void handleRequest(InputStream input, OutputStream output, Context context) throws IOException;
}
