package com.aliyun.fc.runtime;

import java.io.IOException;

/** Before an instance ends. */
public interface PreStopHandler {
  void preStop(Context context) throws IOException;
}
